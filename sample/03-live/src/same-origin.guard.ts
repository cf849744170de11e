import { type CanActivate, type ExecutionContext, Injectable } from '@nestjs/common';
import type { Request } from 'express';

/**
 * Refuses (403) what a page of another site posts with the visitor's cookies. Browsers say where a request
 * comes from: in `Sec-Fetch-Site`, or in `Origin` where that is missing. Programs send neither and may pass.
 */
@Injectable()
export class SameOriginGuard implements CanActivate {
  canActivate(context: ExecutionContext): boolean {
    if (context.getType() !== 'http') return true; // The library looks where handshakes come from.
    const { method, headers } = context.switchToHttp().getRequest<Request>();
    if (method === 'GET' || method === 'HEAD') return true;
    const site = headers['sec-fetch-site'];
    if (site) return site === 'same-origin' || site === 'none';
    return !headers.origin || headers.origin.split('://')[1] === headers.host;
  }
}
