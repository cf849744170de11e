import { Body, Controller, Get, Post, Req, Res, UseFilters } from '@nestjs/common';
import type { Request, Response } from 'express';
import { CurrentUser, RequireFreshLogin } from 'nestjs-session-auth';
import { CodesService } from './codes.service.js';
import { leaveNotice, takeNotice } from './notice.js';
import { PagesFilter } from './pages.filter.js';
import type { User } from './users.service.js';
import { homePage } from './views.js';

const IBAN = /^[A-Z]{2}\d{2} ?[A-Z\d ]{11,40}$/;

@Controller()
@UseFilters(PagesFilter)
export class PayoutController {
  constructor(private readonly codes: CodesService) {}

  @Get()
  home(@CurrentUser() user: User, @Req() request: Request): string {
    return homePage({ user, hasTwoFactors: this.codes.isActive(user), notice: takeNotice(request) });
  }

  /**
   * Needs a code that was shown just now, also on a browser that is spared it at the login. A form that comes without one
   * is kept meanwhile: see `ConfirmController`.
   */
  @RequireFreshLogin('5m', { methods: ['totp'], proveAt: '/confirm', keepFields: ['iban'] })
  @Post('payout')
  change(
    @CurrentUser() user: User,
    @Body('iban') iban: unknown,
    @Req() request: Request,
    @Res() response: Response,
  ): void {
    if (typeof iban !== 'string' || !IBAN.test(iban)) {
      const problem = { error: 'That is no IBAN', iban: typeof iban === 'string' ? iban : '' };
      response.status(400).send(homePage({ user, hasTwoFactors: this.codes.isActive(user), ...problem }));
      return;
    }
    user.iban = iban;
    leaveNotice(request, 'From now on, your money goes to the new account.');
    response.redirect(303, '/');
  }
}
