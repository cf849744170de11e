/* What these tests use of strategy packages that bring no types. */

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
