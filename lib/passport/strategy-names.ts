import passport from 'passport';

type Strategy = passport.Strategy;

/**
 * Under which names strategies were registered on passport's process-wide singleton.
 *
 * `@nestjs/passport` tells a strategy's name (`PassportStrategy(Strategy, 'name')`) to that singleton alone, where the
 * strategy of a second application displaces it. So each registration is noted as it happens; nothing else changes.
 */
const names = new WeakMap<Strategy, string>();

const use = passport.use.bind(passport) as (...args: unknown[]) => typeof passport;
passport.use = function (...args: [Strategy] | [string, Strategy]) {
  const [name, strategy] = args.length === 1 ? [args[0].name, args[0]] : args;
  if (name !== undefined) {
    names.set(strategy, name);
  }
  return use(...args);
};

/** The name a strategy goes by: the one it was registered under, else its own. */
export function nameOfStrategy(strategy: Strategy): string | undefined {
  return names.get(strategy) ?? strategy.name;
}
