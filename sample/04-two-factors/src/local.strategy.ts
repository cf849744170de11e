import { Injectable } from '@nestjs/common';
import { PassportStrategy } from '@nestjs/passport';
import { LoginFailedException } from 'nestjs-session-auth';
import { Strategy } from 'passport-local';
import { UsersService, type User } from './users.service.js';

/** Checks the `username` and `password` of a form or a JSON body. */
@Injectable()
export class LocalStrategy extends PassportStrategy(Strategy) {
  constructor(private readonly users: UsersService) {
    super();
  }

  /** JSON may bring numbers or booleans where a form brings text. */
  async validate(username: unknown, password: unknown): Promise<User> {
    const user = await this.users.findByPassword(String(username), String(password));
    if (!user) throw new LoginFailedException('Wrong username or password');
    return user;
  }
}
