import {
  type DeviceMarker,
  joinMarkers,
  LONGEST_LIST,
  MARKER_LIVES_FOR,
  type MarkedUser,
  markerKeys,
  MOST_MARKERS,
  openMarker,
  renewedMarker,
  sealMarker,
  sparedMethods,
  splitMarkers,
} from '../../lib/model/device-marker.js';

const NOW = 1_767_225_600_000;
const DAY = 86_400_000;
const KEYS = markerKeys(['one secret', 'another']);
const ADA = { userId: '1', stamp: 'hash' };
const TRUST = { epoch: 'an epoch', methods: [['totp', NOW + DAY]] as const };
const TRUSTED: DeviceMarker = { at: NOW, trust: TRUST };

const sealed = (marker = TRUSTED, user: MarkedUser = ADA, keys = KEYS) => sealMarker(marker, user, keys);
const opened = (text: string, user: MarkedUser = ADA, now = NOW, keys = KEYS) => openMarker(text, user, keys, now);

describe('a marker', () => {
  it('is read as it was written, with trust and without', () => {
    expect(opened(sealed())).toEqual(TRUSTED);
    expect(opened(sealed({ at: NOW }))).toEqual({ at: NOW });
  });

  it('shows neither whose it is nor the stamp', () => {
    const user = { userId: 'ada@example.com', stamp: 'stamp-of-ada' };
    const text = sealed(TRUSTED, user);
    const [payload = ''] = text.split('.');
    const shown = `${text} ${Buffer.from(payload, 'base64url').toString()}`;

    expect(shown).toContain('totp');
    for (const secret of Object.values(user)) expect(shown).not.toContain(secret);
  });

  it('is none of another user, of another application, or changed in any character', () => {
    const text = sealed();
    expect(opened(text, { ...ADA, userId: '2' })).toBeUndefined();
    expect(opened(text, ADA, NOW, markerKeys(['a third']))).toBeUndefined();
    for (let at = 0; at < text.length; at++) {
      const other = text[at] === 'A' ? 'B' : 'A';
      expect(opened(text.slice(0, at) + other + text.slice(at + 1))).toBeUndefined();
      expect(opened(text.slice(0, at))).toBeUndefined();
    }
  });

  it('of one user is none of a user whose id is longer or shorter', () => {
    expect(opened(sealed(TRUSTED, { userId: '11' }), { userId: '1' })).toBeUndefined();
    expect(opened(sealed(TRUSTED, { userId: '1' }), { userId: '11' })).toBeUndefined();
    expect(opened(sealed(TRUSTED, { userId: '1\0' }), { userId: '1' })).toBeUndefined();
  });

  it('is none of a user of another kind, though an id without a kind reads like one with', () => {
    const [plain, admin] = [{ userId: 'admin:1' }, { userId: 'admin:1', kind: 'admin' }];
    expect(opened(sealed(TRUSTED, plain), admin)).toBeUndefined();
    expect(opened(sealed(TRUSTED, admin), plain)).toBeUndefined();
    expect(opened(sealed(TRUSTED, admin), admin)).toEqual(TRUSTED);
  });

  it('is made by the first secret, and verified by all', () => {
    const [second, both] = [markerKeys(['another']), KEYS];
    expect(opened(sealed(TRUSTED, ADA, second), ADA, NOW, both)).toEqual(TRUSTED);
    expect(opened(sealed(), ADA, NOW, second)).toBeUndefined();
  });

  it('is forgotten after 400 days', () => {
    const text = sealed({ at: NOW });
    expect(opened(text, ADA, NOW + MARKER_LIVES_FOR - 1)).toEqual({ at: NOW });
    expect(opened(text, ADA, NOW + MARKER_LIVES_FOR)).toBeUndefined();
  });

  it('has no trust any more when that is over, or the stamp is another one, or is missing, or is new', () => {
    const plain = { at: NOW };
    expect(opened(sealed(), ADA, NOW + DAY - 1)).toEqual(TRUSTED);
    expect(opened(sealed(), ADA, NOW + DAY)).toEqual(plain);
    expect(opened(sealed(), { ...ADA, stamp: 'other' })).toEqual(plain);
    expect(opened(sealed(), { userId: '1' })).toEqual(plain);
    expect(opened(sealed(TRUSTED, { userId: '1' }), ADA)).toEqual(plain);
  });
});

describe('the methods that are spared', () => {
  it('are those of the marker, one by one', () => {
    expect(sparedMethods(TRUSTED, ['sms', 'totp'])).toEqual(['totp']);
    expect(sparedMethods(TRUSTED, ['toString', '__proto__'])).toEqual([]);
    expect(sparedMethods({ at: NOW }, ['totp'])).toEqual([]);
    expect(sparedMethods(undefined, ['totp'])).toEqual([]);
  });

  it('stay as they are at a further login', () => {
    expect(renewedMarker(TRUSTED, undefined, NOW + 1)).toEqual({ at: NOW + 1, trust: TRUST });
    expect(renewedMarker(undefined, undefined, NOW)).toEqual({ at: NOW });
  });

  it('are added to, or renewed, while the epoch is the same', () => {
    const sms = { epoch: 'an epoch', methods: [['sms', NOW + 1]] as const };
    const totp = { epoch: 'an epoch', methods: [['totp', NOW + 1]] as const };
    expect(renewedMarker(TRUSTED, sms, NOW).trust?.methods).toEqual([...TRUST.methods, ...sms.methods]);
    expect(renewedMarker(TRUSTED, totp, NOW).trust?.methods).toEqual(totp.methods);
  });

  it('begin anew in another epoch', () => {
    const granted = { epoch: 'another', methods: [['sms', NOW + 1]] as const };
    expect(renewedMarker(TRUSTED, granted, NOW).trust).toEqual(granted);
  });
});

describe('the markers of a cookie', () => {
  const many = Array.from({ length: 12 }, (_, n) => sealed(TRUSTED, { userId: String(n) }));

  it('are eight at most, the first ones', () => {
    expect(splitMarkers(joinMarkers(many))).toEqual(many.slice(0, MOST_MARKERS));
    expect(splitMarkers(many.join('~'))).toEqual(many.slice(0, MOST_MARKERS));
  });

  it('are as many as have room', () => {
    const methods = Array.from({ length: 20 }, (_, n) => [`method ${n}`, NOW + DAY] as const);
    const large = Array.from({ length: 8 }, (_, n) =>
      sealed({ at: NOW, trust: { epoch: 'e', methods } }, { userId: String(n) }),
    );
    const value = joinMarkers(large);

    expect(value.length).toBeLessThanOrEqual(LONGEST_LIST);
    expect(splitMarkers(value)).toEqual(large.slice(0, splitMarkers(value).length));
    expect(splitMarkers(value).length).toBeGreaterThan(1);
  });

  it('are none in what cannot be a list of them', () => {
    for (const value of ['', '~', '.', 'a.b', '%7E', `${many[0]!} `, `"${many[0]!}"`, 'x'.repeat(LONGEST_LIST + 1)]) {
      expect([value.slice(0, 20), splitMarkers(value)]).toEqual([value.slice(0, 20), []]);
    }
    expect(splitMarkers(`${many[0]!}~~<script>~${many[1]!}`)).toEqual([many[0], many[1]]);
  });
});
