import passport from 'passport';
import { processWide } from './process-wide.js';

type Strategy = passport.Strategy;
type StrategyNames = WeakMap<Strategy, string>;

/**
 * The names under which strategies were registered on Passport's process-wide singleton.
 *
 * `@nestjs/passport` gives a strategy's name (`PassportStrategy(Strategy, 'name')`) to that singleton alone, where the
 * strategy of a second application replaces it. So each registration is noted as it happens. Nothing else changes.
 */
const names = processWide('strategy-names', noteRegistrations);

function noteRegistrations(): StrategyNames {
  const noted: StrategyNames = new WeakMap();
  const use = passport.use.bind(passport) as (...args: unknown[]) => typeof passport;
  passport.use = function (...args: [Strategy] | [string, Strategy]) {
    const [name, strategy] = args.length === 1 ? [args[0].name, args[0]] : args;
    if (name !== undefined) {
      noted.set(strategy, name);
    }
    return use(...args);
  };
  return noted;
}

/** The name of a strategy: the one it was registered under, else its own. */
export function nameOfStrategy(strategy: Strategy): string | undefined {
  return names.get(strategy) ?? strategy.name;
}
