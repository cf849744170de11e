import type { Duration } from '../session-auth.options.js';

/**
 * How a user is logged in.
 *
 * @example
 * ```ts
 * @Injectable()
 * class PasswordLogin {
 *   constructor(private readonly auth: SessionAuthService) {}
 *
 *   async logIn(request: Request, user: User, staySignedIn: boolean) {
 *     const options: LogInOptions = { method: 'password', keep: ['cart'] };
 *     await this.auth.logIn(request, user, staySignedIn ? { ...options, remember: '30d' } : options);
 *   }
 * }
 * ```
 */
export interface LogInOptions {
  /**
   * Top-level keys of the present session to carry into the new one, such as `['returnTo']`. Default: none. Nothing is
   * ever carried from one user's session into another's.
   */
  keep?: string[];
  /** "Remember me": this session's own idle and absolute limit. Default: those of `lifetime`. */
  remember?: Duration;
  /** How the user proved who they are, in a word of your own: `'password'`, `'webauthn'`. */
  method?: string;
  /**
   * The methods that the user has still to prove, such as `['totp']`. Until `completeLogin()` has been called for each,
   * the session is nobody's: no guard lets it pass, and it counts for no limit. That may take ten minutes. Those that the
   * user's browser is spared (`trustFor`) are left out; when none is left, this is a login at once. Default: none.
   */
  pending?: string[];
}

/**
 * What else happens when a step of a login is done.
 *
 * @example
 * ```ts
 * @Injectable()
 * class CodeStep {
 *   constructor(private readonly auth: SessionAuthService) {}
 *
 *   async complete(request: Request, isTrusted: boolean) {
 *     const options: CompleteLoginOptions = isTrusted ? { trustFor: '30d' } : {};
 *     await this.auth.completeLogin(request, 'totp', options);
 *   }
 * }
 * ```
 */
export interface CompleteLoginOptions {
  /**
   * "Trust this browser": for so long, logins of this user on this browser leave the method out of what is `pending`. It
   * is no proof: `@RequireFreshLogin({ methods: ['totp'] })` asks for it all the same. The browser keeps a signed cookie
   * for that. The trust ends for all of the user's browsers by `SessionRegistry.credentialsChanged()`, `userDisabled()`
   * and `revokeAll()`, and by another `credentialStamp()`. At most 400 days. Default: the method is asked for each time.
   */
  trustFor?: Duration;
}

/**
 * What a logout does besides.
 *
 * @example
 * ```ts
 * @Controller('logout')
 * class LogoutController {
 *   constructor(private readonly auth: SessionAuthService) {}
 *
 *   @Post()
 *   async logOut(@Req() request: Request) {
 *     const options: LogOutOptions = { clearSiteData: true };
 *     await this.auth.logOut(request, options);
 *   }
 * }
 * ```
 */
export interface LogOutOptions {
  /**
   * Makes the browser forget its cache and storage of this origin: the response has `Clear-Site-Data: "cache",
   * "storage"`. Only over HTTPS (or localhost) do browsers obey it. For a request that shows no session cookie, nothing
   * is sent. Default: `false`.
   */
  clearSiteData?: boolean;
}
