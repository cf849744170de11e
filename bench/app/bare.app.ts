import { Body, Controller, Get, HttpCode, Post, UnauthorizedException } from '@nestjs/common';
import { LiveGateway } from './live.gateway.js';
import { type User, userOf, verify } from './users.js';
import { type Flag, greeting, type Variant } from './variant.js';

const SOMEBODY = userOf(0);

@Controller()
class BareController {
  @Post('login')
  @HttpCode(200)
  login(@Body() { username, password }: { username: string; password: string }): User {
    const user = verify(username, password);
    if (user === null) {
      throw new UnauthorizedException();
    }
    return user;
  }

  @Post('logout')
  @HttpCode(204)
  logout(): void {
    // Nobody is logged in.
  }

  @Get('me')
  me(): User {
    return SOMEBODY;
  }

  @Get('open')
  open(): { hello: string } {
    return greeting(undefined);
  }
}

export function create(_redisUrl: string, flags: ReadonlySet<Flag>): Variant {
  const providers = flags.has('connections') ? [LiveGateway] : [];
  return { metadata: { controllers: [BareController], providers } };
}
