import { Injectable } from '@nestjs/common';
import { UserSerializer } from 'nestjs-session-auth';
import { ADA, type User } from './user';

@Injectable()
export class AppUserSerializer extends UserSerializer<User, number> {
  serializeUser(user: User): number {
    return user.id;
  }

  deserializeUser(id: number): User | null {
    return id === ADA.id ? ADA : null;
  }
}
