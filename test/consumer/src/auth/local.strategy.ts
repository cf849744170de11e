import { Injectable, UnauthorizedException } from '@nestjs/common';
import { PassportStrategy } from '@nestjs/passport';
import { Strategy } from 'passport-local';
import { ADA, type User } from './user';

@Injectable()
export class LocalStrategy extends PassportStrategy(Strategy) {
  validate(username: string, password: string): User {
    if (username !== 'ada' || password !== 'lovelace') throw new UnauthorizedException('Wrong name or password');
    return ADA;
  }
}
