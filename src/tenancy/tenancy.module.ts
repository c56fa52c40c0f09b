import { Module } from '@nestjs/common';
import { APP_GUARD, APP_INTERCEPTOR } from '@nestjs/core';
import { TypeOrmModule } from '@nestjs/typeorm';

import { CLOCK, systemClock } from '../common/clock.js';
import { AccessGuard } from './access.guard.js';
import { ActingFor } from './acting-for.js';
import { ActiveUsers } from './active-users.js';
import { ApiKey } from './api-key.entity.js';
import { ApiKeysController } from './api-keys.controller.js';
import { ApiKeysService } from './api-keys.service.js';
import { AuditController } from './audit/audit.controller.js';
import { AuditEntry } from './audit/audit-entry.entity.js';
import { AuditLog } from './audit/audit-log.js';
import { AuditService } from './audit/audit.service.js';
import { Refusals } from './audit/refusals.js';
import { RefusalsInterceptor } from './audit/refusals.interceptor.js';
import { Authentication } from './authentication.js';
import { Session } from './sessions/session.entity.js';
import { SessionTokens } from './sessions/session-tokens.js';
import { SessionsController } from './sessions/sessions.controller.js';
import { SessionsService } from './sessions/sessions.service.js';
import { Tenant } from './tenant.entity.js';
import { TenantsController } from './tenants.controller.js';
import { TenantsService } from './tenants.service.js';
import { User } from './user.entity.js';
import { UsersController } from './users.controller.js';
import { UsersService } from './users.service.js';

@Module({
  imports: [TypeOrmModule.forFeature([Tenant, User, ApiKey, Session, AuditEntry])],
  controllers: [
    TenantsController,
    UsersController,
    ApiKeysController,
    SessionsController,
    AuditController,
  ],
  providers: [
    ActiveUsers,
    ActingFor,
    ApiKeysService,
    AuditLog,
    AuditService,
    Authentication,
    Refusals,
    SessionTokens,
    SessionsService,
    TenantsService,
    UsersService,
    { provide: CLOCK, useValue: systemClock },
    { provide: APP_GUARD, useClass: AccessGuard },
    { provide: APP_INTERCEPTOR, useClass: RefusalsInterceptor },
  ],
  exports: [ActiveUsers, AuditService, TenantsService],
})
export class TenancyModule {}
