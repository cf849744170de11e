/* What these tests use of strategy packages that bring no types. */

declare module 'passport-google-oauth20' {
  import { Strategy as Base } from 'passport-oauth2';
  interface Options {
    clientID: string;
    clientSecret: string;
    callbackURL?: string | undefined;
    state?: unknown;
    pkce?: unknown;
  }
  export class Strategy extends Base {
    constructor(options: Options, verify: (...given: never[]) => void);
  }
}
declare module 'passport-github2' {
  export { Strategy } from 'passport-oauth2';
}
declare module 'passport-discord' {
  export { Strategy } from 'passport-oauth2';
}
declare module 'passport-microsoft' {
  export { Strategy } from 'passport-oauth2';
}
declare module 'passport-auth0' {
  export { Strategy } from 'passport-oauth2';
}
declare module 'passport-apple' {
  export { Strategy } from 'passport-oauth2';
}
declare module 'passport-openidconnect' {
  export { Strategy } from 'passport-oauth2';
}

declare module 'passport-http-bearer' {
  export { Strategy } from 'passport-strategy';
}
declare module 'passport-anonymous' {
  export { Strategy } from 'passport-strategy';
}
declare module 'passport-totp' {
  import { Strategy as Base } from 'passport-strategy';
  export class Strategy extends Base {
    constructor(options: { window?: number });
  }
}

declare module 'passport-jwt' {
  import { Strategy as Base } from 'passport-strategy';
  export class Strategy extends Base {
    constructor(options: {
      jwtFromRequest: (request: never) => string | null;
      secretOrKey: string;
      algorithms: string[];
    });
  }
  export const ExtractJwt: { fromAuthHeaderAsBearerToken(): (request: never) => string | null };
}

declare module 'passport-remember-me' {
  import { Strategy as Base } from 'passport-strategy';
  type Done<T> = (error: unknown, result: T) => void;
  export class Strategy<User> extends Base {
    constructor(
      verify: (token: string, done: Done<User | false>) => void,
      issue: (user: User, done: Done<string>) => void,
    );
  }
}

declare module 'passport-fido2-webauthn' {
  import { Strategy as Base } from 'passport-strategy';
  type Done<T extends unknown[]> = (error: unknown, ...result: T | [false, { message: string }] | []) => void;
  interface Flags {
    userPresent: boolean;
    userVerified: boolean;
  }
  export interface Owner {
    id: Buffer;
    name: string;
  }
  export class SessionChallengeStore {
    challenge(request: unknown, info: { user?: Owner }, done: (error: Error | null, challenge: Buffer) => void): void;
  }
  export class Strategy<User> extends Base {
    constructor(
      options: { store: SessionChallengeStore },
      verify: (credential: string, owner: Buffer | null, flags: Flags, done: Done<[User, string]>) => void,
      register: (
        owner: Owner | undefined,
        credential: string,
        publicKey: string,
        flags: Flags,
        done: Done<[User]>,
      ) => void,
    );
  }
}
