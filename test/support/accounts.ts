import { Body, Controller, HttpCode, Inject, Injectable, Post, Req, UseGuards } from '@nestjs/common';
import { PassportStrategy } from '@nestjs/passport';
import { Strategy } from 'passport-local';
import {
  CurrentSession,
  CurrentUser,
  SessionAuthService,
  SessionGuard,
  SessionRegistry,
  type SessionRequest,
  UserSerializer,
} from '../../lib/index.js';
import type { User } from './application.js';
import type { Gate } from './gate.js';

export interface Account extends User {
  password: string;
}

/** A user database: what it hands out is a copy, as of then. */
@Injectable()
export class Accounts {
  readonly #byId = new Map<string, Account>([
    ['1', { id: '1', name: 'ada', password: 'lovelace' }],
    ['2', { id: '2', name: 'grace', password: 'hopper' }],
  ]);
  /** Where the look-up of a login waits with its response, and that of a session. */
  loginGate?: Gate;
  lookupGate?: Gate;

  async verify(name: string, password: string): Promise<Account | undefined> {
    const found = [...this.#byId.values()].find((one) => one.name === name && one.password === password);
    await this.loginGate?.pass();
    return found;
  }
  async find(id: string): Promise<Account | undefined> {
    await this.lookupGate?.pass();
    return this.#byId.get(id);
  }
  setPassword(id: string, password: string): void {
    this.#byId.set(id, { ...this.#byId.get(id)!, password });
  }
}

@Injectable()
export class AccountStrategy extends PassportStrategy(Strategy) {
  constructor(private readonly accounts: Accounts) {
    super();
  }
  async validate(username: string, password: string): Promise<Account | null> {
    return (await this.accounts.verify(username, password)) ?? null;
  }
}

@Injectable()
export class PlainSerializer extends UserSerializer<Account, string> {
  constructor(@Inject(Accounts) private readonly accounts: Accounts) {
    super();
  }
  serializeUser(user: Account): string {
    return user.id;
  }
  deserializeUser(id: string): Promise<Account | undefined> {
    return this.accounts.find(id);
  }
}

@Injectable()
export class StampingSerializer extends PlainSerializer {
  stamp: (user: Account) => string = ({ password }) => `hash of ${password}`;

  override credentialStamp(user: Account): string {
    return this.stamp(user);
  }
}

/** A page on which users change their password. */
@Controller('password')
export class PasswordController {
  constructor(
    private readonly accounts: Accounts,
    private readonly registry: SessionRegistry,
    private readonly sessionAuth: SessionAuthService,
  ) {}

  @Post()
  @HttpCode(200)
  @UseGuards(SessionGuard)
  async change(
    @CurrentUser('id') id: string,
    @CurrentSession() session: Record<string, unknown>,
    @Req() request: SessionRequest,
    @Body() { password, stepUp }: { password: string; stepUp?: boolean },
  ) {
    this.accounts.setPassword(id, password);
    session['changed'] = password;
    const ended = await this.registry.credentialsChanged(id, { keep: this.sessionAuth.current(request).handle });
    if (stepUp) await this.sessionAuth.reauthenticate(request, 'password');
    return { ended };
  }
}
