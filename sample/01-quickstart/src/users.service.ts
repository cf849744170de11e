import { randomUUID } from 'node:crypto';
import { mkdirSync } from 'node:fs';
import { dirname } from 'node:path';
import { createClient } from '@libsql/client';
import { Injectable, type OnModuleDestroy, type OnModuleInit } from '@nestjs/common';
import { hash, verify } from '@node-rs/argon2';

/** What the application knows of a user. The password's hash never leaves this file. */
export interface User {
  id: number;
  username: string;
  name: string;
  picture: string;
}

interface UserRow extends User {
  password_hash: string;
}

const databaseFile = process.env.DATABASE_FILE ?? 'sample/01-quickstart/data/users.db';

const demoUsers = [
  { username: 'ada', password: 'lovelace', name: 'Ada Lovelace', picture: '/pictures/ada.svg' },
  { username: 'grace', password: 'hopper', name: 'Grace Hopper', picture: '/pictures/grace.svg' },
];

@Injectable()
export class UsersService implements OnModuleInit, OnModuleDestroy {
  private readonly db;
  private dummyHash = '';

  constructor() {
    mkdirSync(dirname(databaseFile), { recursive: true });
    this.db = createClient({ url: `file:${databaseFile}` });
  }

  async onModuleInit(): Promise<void> {
    this.dummyHash = await hash(randomUUID());
    await this.db.execute(`CREATE TABLE IF NOT EXISTS users (
      id INTEGER PRIMARY KEY,
      username TEXT NOT NULL UNIQUE,
      name TEXT NOT NULL,
      picture TEXT NOT NULL,
      password_hash TEXT NOT NULL
    )`);
    for (const { username, password, name, picture } of demoUsers) {
      await this.db.execute({
        sql: 'INSERT OR IGNORE INTO users (username, name, picture, password_hash) VALUES (?, ?, ?, ?)',
        args: [username, name, picture, await hash(password)],
      });
    }
  }

  onModuleDestroy(): void {
    this.db.close();
  }

  async findById(id: number): Promise<User | null> {
    const row = await this.findRow('SELECT * FROM users WHERE id = ?', id);
    return row ? toUser(row) : null;
  }

  /** An unknown username costs one verification too: how long the response takes does not tell who has an account. */
  async findByPassword(username: string, password: string): Promise<User | null> {
    const row = await this.findRow('SELECT * FROM users WHERE username = ?', username);
    const matches = await verify(row?.password_hash ?? this.dummyHash, password);
    return row && matches ? toUser(row) : null;
  }

  private async findRow(sql: string, value: number | string): Promise<UserRow | undefined> {
    const { rows } = await this.db.execute({ sql, args: [value] });
    return rows[0] as UserRow | undefined;
  }
}

function toUser({ id, username, name, picture }: UserRow): User {
  return { id, username, name, picture };
}
