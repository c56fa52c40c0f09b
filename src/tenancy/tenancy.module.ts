import { Module } from '@nestjs/common';
import { APP_GUARD } from '@nestjs/core';
import { TypeOrmModule } from '@nestjs/typeorm';

import { AccessGuard } from './access.guard.js';
import { ApiKey } from './api-key.entity.js';
import { AuditEntry } from './audit/audit-entry.entity.js';
import { AuditService } from './audit/audit.service.js';
import { Authentication } from './authentication.js';
import { Tenant } from './tenant.entity.js';
import { TenantsController } from './tenants.controller.js';
import { TenantsService } from './tenants.service.js';
import { User } from './user.entity.js';

@Module({
  imports: [TypeOrmModule.forFeature([Tenant, User, ApiKey, AuditEntry])],
  controllers: [TenantsController],
  providers: [
    AuditService,
    Authentication,
    TenantsService,
    { provide: APP_GUARD, useClass: AccessGuard },
  ],
  exports: [AuditService, TenantsService],
})
export class TenancyModule {}
