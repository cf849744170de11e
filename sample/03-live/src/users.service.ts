import { randomUUID } from 'node:crypto';
import { Injectable, type OnModuleInit } from '@nestjs/common';
import { hash, verify } from '@node-rs/argon2';

/** What the application knows of a user. */
export interface User {
  id: string;
  username: string;
  name: string;
}

const demoUsers = [
  { id: '1', username: 'ada', password: 'lovelace', name: 'Ada Lovelace' },
  { id: '2', username: 'grace', password: 'hopper', name: 'Grace Hopper' },
];

/** Two users in memory; the hashes of their passwords never leave this file. For users in a database see 01-quickstart. */
@Injectable()
export class UsersService implements OnModuleInit {
  private readonly users: User[] = [];
  private readonly hashes = new Map<string, string>();
  private dummyHash = '';

  async onModuleInit(): Promise<void> {
    this.dummyHash = await hash(randomUUID());
    for (const { password, ...user } of demoUsers) {
      this.users.push(user);
      this.hashes.set(user.id, await hash(password));
    }
  }

  findById(id: string): User | null {
    return this.users.find((user) => user.id === id) ?? null;
  }

  /** An unknown username costs one verification too: how long the response takes does not tell who has an account. */
  async findByPassword(username: string, password: string): Promise<User | null> {
    const user = this.users.find((one) => one.username === username);
    const matches = await verify(this.hashes.get(user?.id ?? '') ?? this.dummyHash, password);
    return user && matches ? user : null;
  }
}
