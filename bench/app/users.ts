import { Injectable } from '@nestjs/common';
import { PassportStrategy } from '@nestjs/passport';
import { Strategy } from 'passport-local';

/** What an application keeps of a user in the session: the whole of it, so that no variant asks a database. */
export interface User {
  id: string;
  username: string;
  name: string;
}

export const PASSWORD = 'correct horse battery staple';

/** There is a user for each number, and all of them look the same but for it. */
export function userOf(number: number): User {
  const digits = String(number).padStart(6, '0');
  return { id: digits, username: `user-${digits}`, name: `User ${digits}` };
}

/** Compares plain text: a password hash costs a hundred times what is measured here, and the same in every variant. */
export function verify(username: string, password: string): User | null {
  const number = /^user-(\d{6})$/.exec(username)?.[1];
  return number !== undefined && password === PASSWORD ? userOf(Number(number)) : null;
}

@Injectable()
export class LocalStrategy extends PassportStrategy(Strategy) {
  validate(username: string, password: string): User | null {
    return verify(username, password);
  }
}
