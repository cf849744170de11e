import {
  type CanActivate,
  Controller,
  Get,
  type INestApplication,
  Injectable,
  Post,
  type Type,
  UseGuards,
} from '@nestjs/common';
import { APP_GUARD, Reflector } from '@nestjs/core';
import { FreshLoginGuard, LoginGuard, PassiveRoute, Public, RequireFreshLogin, SessionGuard } from '../../lib/index.js';
import {
  LocalStrategy,
  SnapshotSerializer,
  TestApplication,
  type TestApplicationOptions,
} from '../support/application.js';
import { describePlatforms } from '../support/platforms.js';

@Injectable()
class OwnGuard extends SessionGuard {}

/** No guard of sessions: it says nothing about who may pass. */
@Injectable()
class OtherGuard implements CanActivate {
  canActivate() {
    return true;
  }
}

class Methods {
  @Get('plain')
  plain() {
    return {};
  }
  @Get('open')
  @Public()
  open() {
    return {};
  }
  @Get('guarded')
  @UseGuards(SessionGuard)
  guarded() {
    return {};
  }
  @Get('both')
  @Public()
  @UseGuards(SessionGuard)
  both() {
    return {};
  }
  @Get('fresh')
  @RequireFreshLogin('5m')
  fresh() {
    return {};
  }
}

@Controller('plain-class')
class PlainClass extends Methods {}

@Controller('open-class')
@Public()
class OpenClass extends Methods {}

@Controller('below-open')
class BelowOpen extends OpenClass {}

@Controller('guarded-below-open')
@UseGuards(SessionGuard)
class GuardedBelowOpen extends OpenClass {}

@Controller('guarded-class')
@UseGuards(SessionGuard)
class GuardedClass extends Methods {}

@Controller('open-below-guarded')
@Public()
class OpenBelowGuarded extends GuardedClass {}

@Controller('open-below-guarded-beside-another')
@Public()
@UseGuards(OtherGuard)
class OpenBelowGuardedBesideAnother extends GuardedClass {}

@Controller('open-and-guarded-below-guarded')
@Public()
@UseGuards(SessionGuard)
class OpenAndGuardedBelowGuarded extends GuardedClass {}

@Controller('open-and-guarded')
@UseGuards(OwnGuard)
@Public()
class OpenAndGuarded extends Methods {}

@Controller('fresh-class')
@RequireFreshLogin('5m')
class FreshClass extends Methods {}

@Controller('open-below-fresh')
@Public()
class OpenBelowFresh extends FreshClass {}

@Controller('overriding')
class Overriding extends Methods {
  @Get('open')
  override open() {
    return {};
  }
}

@Controller('entrance')
@Public()
class Entrance {
  @Post()
  @UseGuards(LoginGuard('local'))
  enter() {
    return {};
  }
}

const CONTROLLERS: Type[] = [
  Entrance,
  PlainClass,
  OpenClass,
  BelowOpen,
  GuardedBelowOpen,
  GuardedClass,
  OpenBelowGuarded,
  OpenBelowGuardedBesideAnother,
  OpenAndGuardedBelowGuarded,
  OpenAndGuarded,
  FreshClass,
  OpenBelowFresh,
  Overriding,
];

const applications: TestApplication[] = [];
afterEach(async () => {
  for (const application of applications.splice(0)) await application.close();
});

async function started({ providers = [], ...options }: TestApplicationOptions = {}): Promise<TestApplication> {
  const application = await TestApplication.start({
    ...options,
    providers: [SnapshotSerializer, LocalStrategy, OwnGuard, OtherGuard, ...providers],
  });
  applications.push(application);
  return application;
}

/** Where a guard stands for every route. */
const EVERYWHERE: [string, TestApplicationOptions][] = [
  ['no global guard', {}],
  ['SessionGuard as APP_GUARD', { providers: [{ provide: APP_GUARD, useClass: SessionGuard }] }],
  ['a guard that extends it as APP_GUARD', { providers: [{ provide: APP_GUARD, useClass: OwnGuard }] }],
  [
    'SessionGuard by app.useGlobalGuards()',
    {
      configure: (app: INestApplication) => {
        app.useGlobalGuards(new SessionGuard(app.get(Reflector)));
      },
    },
  ],
];

describePlatforms(() => {
  describe('@Public()', () => {
    /** Path, and what nobody gets there without and with a global guard. */
    const rows: [string, number, number][] = [
      ['/plain-class/plain', 200, 401],
      ['/plain-class/open', 200, 200],
      ['/plain-class/guarded', 401, 401],
      ['/plain-class/both', 200, 200], // A method's own mark counts.
      ['/open-class/plain', 200, 200], // Inherited methods included.
      ['/open-class/guarded', 401, 401], // The guard on the method wins over the mark on the class,
      ['/open-class/fresh', 401, 401], // and so does one that extends SessionGuard.
      ['/below-open/plain', 200, 401], // A subclass is not public because its base class was.
      ['/below-open/open', 200, 200],
      ['/guarded-below-open/plain', 401, 401],
      ['/guarded-below-open/open', 200, 200],
      ['/guarded-class/plain', 401, 401],
      ['/guarded-class/open', 200, 200],
      ['/open-below-guarded/plain', 200, 200], // The guard stands on the base class, the mark on the class itself.
      ['/open-below-guarded/guarded', 401, 401],
      ['/open-below-guarded-beside-another/plain', 200, 200],
      ['/open-and-guarded-below-guarded/plain', 401, 401],
      ['/open-and-guarded/plain', 401, 401],
      ['/open-and-guarded/open', 200, 200],
      ['/fresh-class/plain', 401, 401],
      ['/fresh-class/open', 401, 401], // No mark opens a route that demands a fresh login,
      ['/open-below-fresh/plain', 401, 401], // also where its base class does.
      ['/overriding/open', 200, 401], // The mark stands on the method that is overridden.
    ];

    it.each(EVERYWHERE)('opens what it is meant to open, with %s', async (name, options) => {
      const application = await started({ ...options, controllers: CONTROLLERS });
      const seen: [string, number][] = [];
      for (const [path] of rows) seen.push([path, (await application.browser().get(path)).status]);

      expect(seen).toEqual(rows.map(([path, bare, guarded]) => [path, name === 'no global guard' ? bare : guarded]));
      const ada = application.browser();
      await ada.post('/entrance', { json: { username: 'ada', password: 'lovelace' } });
      for (const [path] of rows) expect([path, (await ada.get(path)).status]).toEqual([path, 200]);
    });
  });

  describe('a class whose base class is marked', () => {
    @RequireFreshLogin('5m')
    class DemandingBase {}
    @Controller('demanding')
    class Demanding extends DemandingBase {
      @Get()
      page() {
        return {};
      }
    }
    @PassiveRoute()
    class PassiveBase {}
    @Controller('passive')
    class Passive extends PassiveBase {
      @Get()
      page() {
        return {};
      }
    }

    it('demands a fresh login where its base class does', async () => {
      const application = await started({ controllers: [Demanding] });
      const browser = await application.loggedIn();

      expect((await browser.get('/demanding')).status).toBe(200);
      application.clock.advance('5m');
      expect((await browser.get('/demanding')).json()).toMatchObject({ code: 'fresh_login_required' });
    });

    it('does not count as activity where its base class does not', async () => {
      const application = await started({ controllers: [Passive] });
      const browser = await application.loggedIn();
      application.clock.advance('40m');
      expect((await browser.get('/passive')).status).toBe(200);
      application.clock.advance('40m');

      expect((await browser.get('/me')).json()).toMatchObject({ reason: 'expired' });
    });
  });
});

type Place = 'class' | 'base class' | 'method' | 'base method';
type Method = 'own' | 'inherited' | 'overridden';
const PLACES: Place[] = ['class', 'base class', 'method', 'base method'];
const METHODS: Method[] = ['own', 'inherited', 'overridden'];
const SUBSETS = [...Array(2 ** PLACES.length).keys()].map((bits) => PLACES.filter((_, place) => bits & (1 << place)));

/** The rule, once more: what nobody gets from a method of a class where marks and guards stand at these places. */
function expected(method: Method, marks: Place[], guards: Place[], isGlobal: boolean): number {
  const running = method === 'inherited' ? 'base method' : 'method';
  const isGuarded = isGlobal || guards.some((place) => place.endsWith('class') || place === running);
  const isOutranked = guards.includes('class') || guards.includes(running);
  const isOpen = marks.includes(running) || (marks.includes('class') && !isOutranked);
  return isGuarded && !isOpen ? 401 : 200;
}

/** A class and its base class, with marks and guards at these places. */
function controllerWith(path: string, marks: Place[], guards: Place[], guard: Type<CanActivate> | CanActivate): Type {
  class Base {
    inherited() {
      return {};
    }
    overridden() {
      return {};
    }
  }
  const decorate = (place: Place, target: Type, method?: Method) => {
    const descriptor = method && Object.getOwnPropertyDescriptor(target.prototype, method);
    const decorators = [
      ...(marks.includes(place) ? [Public()] : []),
      ...(guards.includes(place) ? [UseGuards(guard)] : []),
      ...(method ? [Get(method)] : []),
    ] as ((...target: unknown[]) => void)[];
    for (const decorator of decorators) {
      decorator(...(method ? [target.prototype, method, descriptor] : [target]));
    }
  };
  decorate('base method', Base, 'inherited');
  decorate('base method', Base, 'overridden');
  decorate('base class', Base);
  class Route extends Base {
    own() {
      return {};
    }
    override overridden() {
      return {};
    }
  }
  decorate('method', Route, 'own');
  decorate('method', Route, 'overridden');
  decorate('class', Route);
  Controller(path)(Route);
  return Route;
}

// Once: guards and marks know of no platform, and what reaches them is tested above, on both.
describe('every mixture of marks and guards', () => {
  const forms = [SessionGuard, OwnGuard, new SessionGuard(new Reflector()), FreshLoginGuard];
  const mixtures = SUBSETS.flatMap((marks) => SUBSETS.map((guards) => ({ marks, guards }))).map((mixture, index) => ({
    ...mixture,
    path: `mixture-${index}`,
    guard: forms[(index + Math.floor(index / SUBSETS.length)) % forms.length]!,
  }));

  it.each(EVERYWHERE)('follows the rule, with %s', async (name, options) => {
    const application = await started({
      ...options,
      controllers: mixtures.map(({ path, marks, guards, guard }) => controllerWith(path, marks, guards, guard)),
    });
    const nobody = application.browser();
    const seen: string[] = [];
    const due: string[] = [];
    for (const { path, marks, guards } of mixtures) {
      for (const method of METHODS) {
        const line = `${method} method, marks on [${marks.join()}], guards on [${guards.join()}]: `;
        seen.push(line + `${(await nobody.get(`/${path}/${method}`)).status}`);
        due.push(line + `${expected(method, marks, guards, name !== 'no global guard')}`);
      }
    }

    expect(seen.filter((line, index) => line !== due[index])).toEqual([]);
    expect(seen).toHaveLength(768);
  });
});
