import { randomUUID } from 'node:crypto';
import { Injectable, type OnModuleInit } from '@nestjs/common';
import { hash, verify } from '@node-rs/argon2';
import { Attempts } from './attempts.js';

const MOST_ATTEMPTS = 10;

/** What the application knows of a user. */
export interface User {
  id: string;
  username: string;
  name: string;
  /** Where their money goes. */
  iban: string;
}

const demoUsers = [
  { id: '1', username: 'ada', password: 'lovelace', name: 'Ada Lovelace', iban: 'GB33 BUKB 2020 1555 5555 55' },
  { id: '2', username: 'grace', password: 'hopper', name: 'Grace Hopper', iban: 'DE75 5121 0800 1245 1261 99' },
];

/** Two users in memory; the hashes of their passwords never leave this file. For users in a database see 01-quickstart. */
@Injectable()
export class UsersService implements OnModuleInit {
  private readonly users: User[] = [];
  private readonly hashes = new Map<string, string>();
  private dummyHash = '';

  constructor(private readonly attempts: Attempts) {}

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
    const key = `password ${username.slice(0, 100)}`;
    this.attempts.spend(key, MOST_ATTEMPTS);
    const user = this.users.find((one) => one.username === username);
    const matches = await verify(this.hashes.get(user?.id ?? '') ?? this.dummyHash, password);
    if (!user || !matches) return null;
    this.attempts.succeeded(key);
    return user;
  }
}
