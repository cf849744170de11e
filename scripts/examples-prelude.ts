/// <reference path="../test/strategies/packages.d.ts" />
/** What the examples use without importing or declaring it: see `check-examples.mjs`. An export named here wins over a `*`. */
export * from '@nestjs/common';
export { Args, Context, GraphQLModule, Mutation, Resolver, Subscription } from '@nestjs/graphql';
export { ApolloDriver, type ApolloDriverConfig } from '@nestjs/apollo';
export { APP_FILTER, APP_GUARD, BaseExceptionFilter, NestFactory, Reflector } from '@nestjs/core';
export { HealthCheck, HealthCheckService, TerminusModule } from '@nestjs/terminus';
export { DocumentBuilder, SwaggerModule } from '@nestjs/swagger';
export { Test } from '@nestjs/testing';
export { ConnectedSocket, MessageBody, SubscribeMessage, WebSocketGateway } from '@nestjs/websockets';
export { createReadStream } from 'node:fs';
export { ServerResponse } from 'node:http';
export type { Socket } from 'node:net';
export { WebSocketServer } from 'ws';
export { default as request } from 'supertest';
export { interval, map } from 'rxjs';
export type { NestExpressApplication } from '@nestjs/platform-express';
export type { NextFunction, Request, Response } from 'express';
export { type Session, Store } from 'express-session';
export { PassportStrategy } from '@nestjs/passport';
export { Strategy } from 'passport-local';
export { createClient } from 'redis';
export { Redis } from 'ioredis';
export * from '../lib/index.js';
export * from '../lib/health/index.js';
export * from '../lib/testing/index.js';
export * from '../lib/metrics/index.js';
export * from '../lib/swagger/index.js';

import type { NestExpressApplication } from '@nestjs/platform-express';
import type { Request, RequestHandler } from 'express';
import type { Observable } from 'rxjs';
import type { SessionEvent, UserSerializer } from '../lib/index.js';

export interface User {
  id: number;
  name: string;
  tenant: string;
  passwordHash: string;
  hasTotp: boolean;
  roles: string[];
}

export declare class UsersService {
  findById(id: number): Promise<User | null>;
  findByLoginToken(token: string): Promise<User>;
  verify(username: string, password: string): Promise<User | null>;
  verifyCode(id: number, code: string): Promise<boolean>;
  totpSecretOf(id: number): Promise<string | null>;
  setTotp(id: number, secret: string, lastStep: number): Promise<void>;
  changePassword(id: number, password: string): Promise<void>;
  findOrCreate(provider: string, idThere: string, name: string): Promise<User>;
  link(id: number, other: number): Promise<void>;
}

export declare class PasskeysService {
  find(id: string): Promise<{ user: User; publicKey: string } | null>;
  add(userId: string, id: string, publicKey: string): Promise<User>;
  verify(credential: unknown, challenge: string): Promise<User | null>;
}

/** That of `docs/logins/passkeys.md`. */
export declare class Challenges {
  make(request: Request, owner?: { id: Buffer; name: string }): Promise<string>;
}

/** That of `docs/logins/second-factor.md`. */
export declare function stepOf(code: string, secret: string, lastStep: number): number | undefined;

export declare class MailService {
  send(userId: string, text: string): Promise<void>;
}

export declare class Admin {
  id: number;
}

export declare class AdminsService {
  findById(id: number): Promise<Admin | null>;
}

export declare class AppModule {}
export declare class AppController {}
export declare class LocalStrategy {}
export declare const AppUserSerializer: new () => UserSerializer<User, number>;

export declare const app: NestExpressApplication;

export declare class UserModel {}
export declare class News {}
export declare class NewsFeed {
  of(userId: string): AsyncIterator<News>;
  for(userId: number): Observable<News>;
}
export declare function helmet(options: object): RequestHandler;
export declare function makeLoaders(): object;

export declare class AuditService {
  insert(event: SessionEvent): Promise<void>;
}

export declare class ConfigService {
  get(name: string): string | undefined;
}
