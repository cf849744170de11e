import type { LifetimeOptions, LifetimePreset, ResolvedSessionAuthOptions } from '../session-auth.options.js';
import { demand, isObject, oneOf, refuseUnknown } from './checks.js';
import { milliseconds } from './duration.js';

type ResolvedLifetime = ResolvedSessionAuthOptions['lifetime'];

/**
 * NIST SP 800-63B-4, sections 2.1.3, 2.2.3 and 2.3.3. `aal1` writes activity down hourly, and not only every three
 * days.
 */
const PRESETS: Record<LifetimePreset, LifetimeOptions> = {
  aal1: { idle: '30d', absolute: '30d', touchEvery: '1h' },
  aal2: { idle: '1h', absolute: '24h' },
  aal3: { idle: '15m', absolute: '12h' },
};

/** The option `lifetime`, in milliseconds. */
export function resolveLifetime(lifetime: LifetimeOptions | LifetimePreset, foreignStore: boolean): ResolvedLifetime {
  if (typeof lifetime === 'string') {
    const preset = oneOf('lifetime', lifetime, ['aal1', 'aal2', 'aal3']);
    return resolveLifetime(PRESETS[preset], foreignStore);
  }
  demand(isObject(lifetime), 'lifetime', 'it is no object', 'As in { idle: "1h" }; or name a level, such as "aal2".');
  const idle = milliseconds('lifetime.idle', lifetime.idle ?? '1h');
  const touchEvery = milliseconds('lifetime.touchEvery', lifetime.touchEvery ?? idle / 10);
  demand(
    touchEvery < idle,
    'lifetime.touchEvery',
    'it is not shorter than "lifetime.idle", so busy sessions would end',
    'Leave it out for a tenth of "idle".',
  );
  const absolute = milliseconds('lifetime.absolute', lifetime.absolute ?? '24h');
  const resolved = { idle, absolute, touchEvery, ...resolveRotation(lifetime, foreignStore) };
  refuseUnknown(lifetime, resolved, 'lifetime.');
  return resolved;
}

/** Whether these limits are no longer than those of a preset. */
export function isWithinPreset({ idle, absolute }: ResolvedLifetime, preset: LifetimePreset): boolean {
  const limits = resolveLifetime(preset, false);
  return Math.min(idle, absolute) <= limits.idle && absolute <= limits.absolute;
}

function resolveRotation(
  { rotateEvery, rotationGrace = '30s' }: LifetimeOptions,
  foreignStore: boolean,
): Pick<ResolvedLifetime, 'rotateEvery' | 'rotationGrace'> {
  demand(
    !foreignStore || rotateEvery === undefined || rotateEvery === false,
    'lifetime.rotateEvery',
    'it is given beside "store", whose contract cannot change a secret in one step',
    'Leave it out, or use "redis" in place of "store".',
  );
  const never = foreignStore || rotateEvery === false;
  return {
    rotateEvery: never ? Infinity : milliseconds('lifetime.rotateEvery', rotateEvery ?? '15m'),
    rotationGrace: milliseconds('lifetime.rotationGrace', rotationGrace),
  };
}
