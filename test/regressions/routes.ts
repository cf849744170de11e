import { Body, Controller, Delete, Get, HttpCode, Param, Post, Put, Req } from '@nestjs/common';
import type { Request } from 'express';
import { Gates } from '../support/gate.js';

type Data = Record<string, unknown>;

/** Routes that use the session as code written for express-session does, and so run on either application. */
@Controller()
export class ExpressSessionController {
  constructor(private readonly gates: Gates) {}

  /** Reads the session, and answers when the gate opens. */
  @Get('gated/:gate')
  async wait(@Param('gate') gate: string, @Req() { session }: Request): Promise<object> {
    await this.gates.named(gate).pass();
    return { loaded: Object.keys(session) };
  }

  @Put('gated/:gate/session/:key')
  async put(
    @Param('gate') gate: string,
    @Param('key') key: string,
    @Body() { value }: { value: unknown },
    @Req() request: Request,
  ): Promise<Data> {
    await this.gates.named(gate).pass();
    data(request)[key] = value;
    return { [key]: value };
  }

  @Delete('gated/:gate/session/:key')
  async remove(@Param('gate') gate: string, @Param('key') key: string, @Req() request: Request): Promise<Data> {
    await this.gates.named(gate).pass();
    Reflect.deleteProperty(request.session, key);
    return {};
  }

  /** Changes what lies within a value, not the value itself. */
  @Put('gated/:gate/nested/:key/:field')
  async putNested(
    @Param('gate') gate: string,
    @Param('key') key: string,
    @Param('field') field: string,
    @Body() { value }: { value: unknown },
    @Req() request: Request,
  ): Promise<unknown> {
    await this.gates.named(gate).pass();
    (data(request)[key] as Data)[field] = value;
    return data(request)[key];
  }

  /** Saves in the middle, and changes the session again when the second gate opens. */
  @Post('gated/:first/:second/twice')
  @HttpCode(204)
  async saveTwice(
    @Param('first') first: string,
    @Param('second') second: string,
    @Req() request: Request,
  ): Promise<void> {
    await this.gates.named(first).pass();
    data(request)['first'] = true;
    await promised((done) => request.session.save(done));
    await this.gates.named(second).pass();
    data(request)['second'] = true;
  }

  /** Logs in, and changes the new session when the gate opens. */
  @Post('gated/:gate/sign-up')
  @HttpCode(204)
  async signUp(@Param('gate') gate: string, @Req() request: Request): Promise<void> {
    await promised((done) => request.logIn({ id: '1', name: 'Ada' }, done));
    await this.gates.named(gate).pass();
    data(request)['welcome'] = true;
  }

  @Post('save/:times')
  @HttpCode(204)
  async saveOften(@Param('times') times: string, @Req() { session }: Request): Promise<void> {
    for (let i = 0; i < Number(times); i++) await promised((done) => session.save(done));
  }

  @Post('save')
  @HttpCode(204)
  save(@Req() { session }: Request): Promise<void> {
    return promised((done) => session.save(done));
  }
}

/** The session by keys that its type does not know. */
export function data({ session }: Request): Data {
  return session as unknown as Data;
}

/** The promise that a method with a callback does not give. */
export function promised(method: (done: (error?: unknown) => void) => unknown): Promise<void> {
  return new Promise((resolve, reject) => {
    method((error) => (error instanceof Error ? reject(error) : resolve()));
  });
}
