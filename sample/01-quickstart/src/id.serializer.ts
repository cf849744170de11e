import { Injectable } from '@nestjs/common';
import { UserSerializer } from 'nestjs-session-auth';
import { UsersService, type User } from './users.service.js';

/**
 * Keeps the id alone and reads the user from the database on each request:
 * a change shows at once, and a deleted user is logged out.
 */
@Injectable()
export class IdSerializer extends UserSerializer<User, number> {
  constructor(private readonly users: UsersService) {
    super();
  }

  serializeUser(user: User): number {
    return user.id;
  }

  deserializeUser(id: number): Promise<User | null> {
    return this.users.findById(id);
  }
}
