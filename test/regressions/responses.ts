import { Readable } from 'node:stream';
import {
  type ArgumentsHost,
  Catch,
  Controller,
  type ExceptionFilter,
  Get,
  HttpException,
  Param,
  Query,
  Redirect,
  Req,
  Res,
  StreamableFile,
  UseFilters,
} from '@nestjs/common';
import type { Request, Response } from 'express';
import { Gates } from '../support/gate.js';
import { platformUnderTest, takeOver } from '../support/platforms.js';
import { data } from './routes.js';

/** `ü` is two bytes: a length counted in characters shows. */
const TEXT = 'für alle';
const LENGTH = Buffer.byteLength(TEXT);

class Refusal extends Error {}

@Catch(Refusal)
class RefusalFilter implements ExceptionFilter<Refusal> {
  catch({ message }: Refusal, host: ArgumentsHost): void {
    host.switchToHttp().getResponse<Response>().status(418).type('text').send(message);
  }
}

/** Every way to answer. Each stores a token first, which the response does not hold. */
@Controller('responses')
export class ResponsesController {
  constructor(private readonly gates: Gates) {}

  @Get('returned')
  returned(@Req() request: Request, @Query('token') token: string): object {
    data(request)['token'] = token;
    return { text: TEXT };
  }

  @Get('send')
  send(@Req() request: Request, @Query('token') token: string, @Res() response: Response): void {
    data(request)['token'] = token;
    response.type('text').send(TEXT);
  }

  @Get('json')
  json(@Req() request: Request, @Query('token') token: string, @Res() response: Response): void {
    data(request)['token'] = token;
    response.json({ text: TEXT });
  }

  @Get('end')
  end(@Req() request: Request, @Query('token') token: string, @Res() response: Response): void {
    data(request)['token'] = token;
    takeOver(response).end(TEXT);
  }

  @Get('redirect')
  redirect(@Req() request: Request, @Query('token') token: string, @Res() response: Response): void {
    data(request)['token'] = token;
    response.status(302).redirect('/session'); // On Fastify, Nest has set 200 before.
  }

  @Get('@Redirect')
  @Redirect('/session', 303)
  declaredRedirect(@Req() request: Request, @Query('token') token: string): void {
    data(request)['token'] = token;
  }

  @Get('passthrough')
  passthrough(
    @Req() request: Request,
    @Query('token') token: string,
    @Res({ passthrough: true }) response: Response,
  ): string {
    data(request)['token'] = token;
    response.status(202);
    return TEXT;
  }

  @Get('file')
  file(@Req() request: Request, @Query('token') token: string): StreamableFile {
    data(request)['token'] = token;
    return new StreamableFile(Buffer.from(TEXT), { type: 'text/plain', length: LENGTH });
  }

  @Get('pipe')
  pipe(@Req() request: Request, @Query('token') token: string, @Res() response: Response): void {
    data(request)['token'] = token;
    Readable.from(Array.from(TEXT)).pipe(takeOver(response));
  }

  @Get('exception')
  exception(@Req() request: Request, @Query('token') token: string): never {
    data(request)['token'] = token;
    throw new HttpException({ text: TEXT }, 402);
  }

  @Get('filter')
  @UseFilters(RefusalFilter)
  filter(@Req() request: Request, @Query('token') token: string): never {
    data(request)['token'] = token;
    throw new Refusal(TEXT);
  }

  /** For a request that asks whether it has changed. (Express would find out by itself, Fastify by a plugin.) */
  @Get('unchanged')
  unchanged(@Req() request: Request, @Query('token') token: string, @Res() response: Response): void {
    data(request)['token'] = token;
    response.status(304).set('ETag', '"constant"').send();
  }

  /** Changes the session before the first byte, and again twice before the last. */
  @Get('stream/:gate')
  async stream(@Param('gate') gate: string, @Req() request: Request, @Res() response: Response): Promise<void> {
    data(request)['before'] = true;
    const raw = takeOver(response);
    raw.setHeader('Content-Type', 'text/plain');
    raw.write('first ');
    await this.gates.named(gate).pass();
    data(request)['after'] = true;
    raw.write('second ');
    data(request)['last'] = true;
    raw.end('third');
  }
}

/** A way to answer, and what it looks like from outside when all is well. */
export interface ResponseKind {
  kind: string;
  method?: string;
  headers?: Record<string, string>;
  status: number;
  /** Of the body, as `Content-Length` says; `undefined` for a response in chunks. */
  length: number | undefined;
  location?: string;
}

/** The length of a response's body. Fastify's redirects have none. */
export function lengthOf({ length, location }: ResponseKind): number | undefined {
  return location !== undefined && platformUnderTest() === 'fastify' ? 0 : length;
}

const JSON_LENGTH = Buffer.byteLength(JSON.stringify({ text: TEXT }));

export const RESPONSES: ResponseKind[] = [
  { kind: 'returned', status: 200, length: JSON_LENGTH },
  { kind: 'send', status: 200, length: LENGTH },
  { kind: 'json', status: 200, length: JSON_LENGTH },
  { kind: 'end', status: 200, length: LENGTH },
  { kind: 'redirect', status: 302, length: 30, location: '/session' },
  { kind: '@Redirect', status: 303, length: 34, location: '/session' },
  { kind: 'passthrough', status: 202, length: LENGTH },
  { kind: 'file', status: 200, length: LENGTH },
  { kind: 'pipe', status: 200, length: undefined },
  { kind: 'exception', status: 402, length: JSON_LENGTH },
  { kind: 'filter', status: 418, length: LENGTH },
];

/** Responses without a body: their head comes last on any stack. */
export const BODILESS_RESPONSES: ResponseKind[] = [
  { kind: 'unchanged', status: 304, length: undefined, headers: { 'If-None-Match': '"constant"' } },
  { kind: 'send', method: 'HEAD', status: 200, length: LENGTH },
];
