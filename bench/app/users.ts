import { Injectable } from '@nestjs/common';
import { PassportStrategy } from '@nestjs/passport';
import { Strategy } from 'passport-local';

/** A user, kept whole in the session, so that no variant needs a database (see the flag `production` for the other way). */
export interface User {
  id: string;
  username: string;
  name: string;
}

export const PASSWORD = 'correct horse battery staple';

/** One user for each number. Ids have five digits, as serial numbers of a small site have. */
export function userOf(number: number): User {
  const digits = String(number).padStart(5, '0');
  return { id: digits, username: `user-${digits}`, name: `User ${digits}` };
}

/** Compares plain text: a password hash costs a hundred times as much as a login here, the same in every variant. */
export function verify(username: string, password: string): User | null {
  const number = /^user-(\d{5,6})$/.exec(username)?.[1];
  return number !== undefined && password === PASSWORD ? userOf(Number(number)) : null;
}

@Injectable()
export class LocalStrategy extends PassportStrategy(Strategy) {
  validate(username: string, password: string): User | null {
    return verify(username, password);
  }
}
