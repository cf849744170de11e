import { Injectable } from '@nestjs/common';
import { UserSerializer } from 'nestjs-session-auth';
import { UsersService, type User } from './users.service.js';

/** Keeps the id alone in the session. By the same id `SessionRegistry` knows whose sessions are whose. */
@Injectable()
export class IdSerializer extends UserSerializer<User, string> {
  constructor(private readonly users: UsersService) {
    super();
  }

  serializeUser(user: User): string {
    return user.id;
  }

  deserializeUser(id: string): User | null {
    return this.users.findById(id);
  }
}
