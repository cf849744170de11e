import { Controller, Get } from '@nestjs/common';
import { CurrentUser } from 'nestjs-session-auth';
import type { User } from './users.service.js';

@Controller()
export class ApiController {
  @Get('me')
  me(@CurrentUser() user: User): User {
    return user;
  }
}
