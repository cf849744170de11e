import { createHash } from 'node:crypto';
import type { RedisCommands } from './redis-options.js';

/** What a script is written with: its keys and arguments are variables of these names in its source. */
interface ScriptDefinition<Key extends string, Argument extends string> {
  /** In the order in which a call may leave keys out at the end. */
  readonly keys: readonly Key[];
  readonly args: readonly Argument[];
  /** Functions and constants that the source uses. */
  readonly shared?: string;
  readonly source: string;
  /**
   * The script also uses keys that it learns of from the index and that no caller could name before. They all have the
   * hash tag of the keys that are named. Dragonfly wants such a script to say so; to Redis the line is a comment.
   */
  readonly usesUndeclaredKeys?: boolean;
}

/** The keys of one call, by name. Undefined ones must be the last. */
export type ScriptKeys<Key extends string> = Readonly<Partial<Record<Key, string | undefined>>>;
/** The arguments of one call, by name. One that is left out is an empty string. */
export type ScriptArguments<Argument extends string> = Readonly<Partial<Record<Argument, string | number | undefined>>>;

/** A script that Redis runs as one step. After the first call the server knows it by its hash. */
export class LuaScript<Key extends string = string, Argument extends string = string> {
  readonly #source: string;
  readonly #sha1: string;

  constructor(private readonly definition: ScriptDefinition<Key, Argument>) {
    const { keys, args, shared = '', source, usesUndeclaredKeys } = definition;
    const flags = usesUndeclaredKeys === true ? '--!df flags=allow-undeclared-keys\n' : '';
    this.#source = `${flags}${shared}${locals(keys, 'KEYS')}${locals(args, 'ARGV')}${source}`;
    this.#sha1 = createHash('sha1').update(this.#source).digest('hex');
  }

  /**
   * Runs the script.
   *
   * @param more further keys and arguments, which the source finds in `KEYS` and `ARGV` after the named ones
   */
  async run(
    client: RedisCommands,
    keys: ScriptKeys<Key>,
    args: ScriptArguments<Argument>,
    more: { keys: string[]; args: string[] } = { keys: [], args: [] },
  ): Promise<unknown> {
    const named = this.definition.keys.flatMap((name) => keys[name] ?? []);
    const values = this.definition.args.map((name) => String(args[name] ?? ''));
    const options = { keys: [...named, ...more.keys], arguments: [...values, ...more.args] };
    try {
      return await client.evalSha(this.#sha1, options);
    } catch (error) {
      if (error instanceof Error && error.message.startsWith('NOSCRIPT')) {
        return client.eval(this.#source, options);
      }
      throw error;
    }
  }
}

/** `local a, b = KEYS[1], KEYS[2]` */
function locals(names: readonly string[], list: 'KEYS' | 'ARGV'): string {
  const values = names.map((_, index) => `${list}[${index + 1}]`);
  return names.length === 0 ? '' : `local ${names.join(', ')} = ${values.join(', ')}\n`;
}
