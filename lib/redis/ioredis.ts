import type { IoredisClient } from './redis-options.js';

/** What is used of a client of ioredis that its public type here leaves out. */
export interface Ioredis extends IoredisClient {
  on(event: string, listener: (...args: never[]) => void): unknown;
  off(event: string, listener: () => void): unknown;
  sendCommand(command: Command): Promise<unknown>;
  /** Of a cluster. */
  nodes(role?: 'master'): Ioredis[];
  duplicate(options: object): Ioredis;
  subscribe(channel: string): Promise<unknown>;
  ping(): Promise<unknown>;
  disconnect(): void;
}

/** One of its commands. */
export interface Command {
  /** The text that is sent: each time that the command is. */
  toWritable(stream?: object): string | Buffer;
}
