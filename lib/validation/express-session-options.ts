/**
 * The options of express-session and of connect-redis that are none of ours, and what stands in their place. Who moves
 * from there finds the counterpart in the error.
 */
export const OLD_OPTIONS: Readonly<Record<string, string>> = {
  // express-session's own.
  name: 'It is cookie.name here. That of the old cookie is adopt.cookie.',
  resave: 'Leave it out: a session is written when it has changed, and activity every lifetime.touchEvery.',
  rolling: 'Leave it out: activity extends a session by itself, up to lifetime.absolute. See lifetime.idle.',
  saveUninitialized: 'Leave it out: a session is stored once there is something in it, and not before.',
  genid: 'Leave it out: ids are made here, and each login gives a new one.',
  proxy: 'Leave it out: app.set("trust proxy", 1) on Express and the option trustProxy on Fastify tell what is secure.',
  unset: 'Leave it out: SessionAuthService.logOut() and req.session.destroy() end a session.',
  maxAge: 'Give lifetime: { idle, absolute }. A login that lasts longer has the option remember.',
  expires: 'Give lifetime: { idle, absolute }. A login that lasts longer has the option remember.',
  httpOnly: 'Leave it out: the cookie is always HttpOnly.',
  sameSite: 'It is cookie.sameSite here.',
  secure: 'It is cookie.secure here.',
  domain: 'It is cookie.domain here.',
  path: 'It is cookie.path here.',
  partitioned: 'It is cookie.partitioned here.',
  priority: 'Leave it out: browsers other than Chrome do not know it, and the session cookie is set last.',
  // connect-redis's.
  client: 'It is redis: { client } here.',
  ttl: 'Give lifetime: { idle, absolute }. Redis keeps a session until its end.',
  disableTTL: 'Leave it out: every session has an end. Give lifetime: { idle, absolute }.',
  disableTouch: 'Leave it out: activity is written every lifetime.touchEvery.',
  scanCount: 'Leave it out: sessions are found by an index of each user.',
  serializer: 'Leave it out: sessions are JSON. For users it is a UserSerializer, or the option serializers.',
};

/** Those of `cookie` that are none of ours. */
export const OLD_COOKIE_OPTIONS: Readonly<Record<string, string>> = {
  maxAge: OLD_OPTIONS['maxAge'] ?? '',
  expires: OLD_OPTIONS['expires'] ?? '',
  httpOnly: OLD_OPTIONS['httpOnly'] ?? '',
  priority: OLD_OPTIONS['priority'] ?? '',
  signed: 'Leave it out: the cookie is always signed.',
  overwrite: 'Leave it out: the cookie is always overwritten.',
  encode: 'Leave it out: the cookie is encoded as express-session encodes it.',
};
