import { GUARDS_METADATA } from '@nestjs/common/constants.js';

/** Whether a mark stands on this very class or method. A class does not inherit it from its base class. */
export function isMarked(key: string, target: object): boolean {
  return Reflect.getOwnMetadata(key, target) === true;
}

/** The guards that `@UseGuards()` puts on this very class or method. */
export function guardsOn(target: object): unknown[] {
  const guards = listOf(Reflect.getOwnMetadata(GUARDS_METADATA, target));
  // Nest's list of a class begins with the whole list of its base class.
  const inherited = listOf(Reflect.getMetadata(GUARDS_METADATA, Object.getPrototypeOf(target) as object));
  return guards.filter((guard, index) => guard !== inherited[index]);
}

function listOf(metadata: unknown): unknown[] {
  return Array.isArray(metadata) ? metadata : [];
}
