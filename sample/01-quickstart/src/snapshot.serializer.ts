import { Injectable } from '@nestjs/common';
import { UserSerializer } from 'nestjs-session-auth';
import type { User } from './users.service.js';

/**
 * Keeps what every page shows in the session itself: a request needs no database,
 * and a changed name or picture shows after the next login.
 */
@Injectable()
export class SnapshotSerializer extends UserSerializer<User, User> {
  serializeUser({ id, username, name, picture }: User): User {
    return { id, username, name, picture };
  }

  deserializeUser(user: User): User {
    return user;
  }
}
