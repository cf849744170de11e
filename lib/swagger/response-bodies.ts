import { ApiProperty } from '@nestjs/swagger';
import { SIGN_OUT_REASONS, type SessionAuthErrorCode, type SignOutReason } from '../session-auth.errors.js';

// The names of these classes are those of the schemas in the document, and of the types in clients made from it.

abstract class ErrorBody {
  @ApiProperty()
  message!: string;
}

/** Of `UnauthenticatedException`. */
export class SessionUnauthenticated extends ErrorBody {
  @ApiProperty({ enum: [401] })
  statusCode!: 401;

  @CodeProperty('unauthenticated')
  code!: 'unauthenticated';

  @ApiProperty({
    enum: SIGN_OUT_REASONS,
    required: false,
    description: 'Why the session of the cookie is over. Missing where there was none, or nobody knows.',
  })
  reason?: SignOutReason;
}

/** Of `LoginIncompleteException`. */
export class SessionLoginIncomplete extends ErrorBody {
  @ApiProperty({ enum: [401] })
  statusCode!: 401;

  @CodeProperty('login_incomplete')
  code!: 'login_incomplete';

  @ApiProperty({ type: [String], description: 'The methods that are still to be proved.' })
  pending!: string[];
}

/** Of `FreshLoginRequiredException`. */
export class SessionFreshLoginRequired extends ErrorBody {
  @ApiProperty({ enum: [401] })
  statusCode!: 401;

  @CodeProperty('fresh_login_required')
  code!: 'fresh_login_required';

  @ApiProperty({ description: 'The longest time since the user proved who they are, in seconds.' })
  maxAge!: number;

  @ApiProperty({ type: [String], required: false, description: 'The methods that count. All, where it is missing.' })
  methods?: string[];

  @ApiProperty({ enum: [true], type: Boolean, required: false, description: 'The proof is good for one request.' })
  once?: true;
}

/** Of `CrossSiteRequestException`. */
export class SessionCrossSiteRequest extends ErrorBody {
  @ApiProperty({ enum: [403] })
  statusCode!: 403;

  @CodeProperty('cross_site_request')
  code!: 'cross_site_request';
}

/** Of `SessionStoreUnavailableException`, `SessionConflictException` and `UserLookupFailedException`. */
export class SessionTemporaryFailure extends ErrorBody {
  @ApiProperty({ enum: [503] })
  statusCode!: 503;

  @CodeProperty('session_store_unavailable', 'session_conflict', 'user_lookup_failed')
  code!: 'session_store_unavailable' | 'session_conflict' | 'user_lookup_failed';
}

function CodeProperty(...codes: SessionAuthErrorCode[]): PropertyDecorator {
  return ApiProperty({ enum: codes });
}
