import { Inject, Injectable } from '@nestjs/common';
import type { FastifyRequest } from 'fastify';

import type { Ctx, Permission } from '../common/ctx.js';
import { AppError } from '../common/errors.js';
import { newId } from '../common/ids.js';
import { Database, type Tx } from '../database/database.js';
import type { Access } from './access.decorators.js';
import { assertHolds } from './assert-holds.js';
import { AuditService } from './audit/audit.service.js';
import { findUser } from './find-user.js';
import { isSafeMethod } from './request-proof.js';
import { permissionsOf } from './role-permissions.js';
import { TENANCY_SETTINGS, type TenancySettings } from './tenancy-settings.js';
import { User } from './user.entity.js';

/** What an admin does as himself or not at all, whoever the member is. */
const NEVER_FOR_OTHERS: ReadonlySet<Permission> = new Set([
  'tenant.manage',
  'user.manage',
  'plugin.manage',
  'audit.read',
]);

/** Lets a tenant admin act as a member, whom older clients name as `user_id`. */
@Injectable()
export class ActingFor {
  constructor(
    private readonly database: Database,
    private readonly audit: AuditService,
    @Inject(TENANCY_SETTINGS) private readonly settings: TenancySettings,
  ) {}

  /**
   * The context of the member named, with what both the member and the actor may do. An unknown
   * member is made first where the operator allows that.
   * @throws AppError auth.forbidden: the same for members of other tenants and for nobody, so that
   *   it tells nothing; also when the member may not call the route.
   */
  async enter(
    actor: Ctx,
    entry: { name: string; access: Access | undefined; request: FastifyRequest },
  ): Promise<Ctx> {
    const { name, access, request } = entry;
    if (actor.role !== 'admin' || !actor.permissions.has('user.manage')) throw notForYou(actor);
    const ctx = await this.database.withTenant(actor, async (tx) => {
      const member = (await findUser(tx, actor, name)) ?? (await this.create(tx, actor, name));
      if (!member || member.isOperator || member.disabledAt) throw notForYou(actor);
      const memberCtx = asMember(actor, member);
      assertHolds(memberCtx, access); // a refused request leaves no new member behind
      return memberCtx;
    });
    if (!isSafeMethod(request.method)) {
      await this.audit.recordAlone(ctx, {
        action: 'user.acted_for',
        subject: { type: 'user', id: ctx.userId },
        details: { method: request.method, route: request.routeOptions.url ?? '' },
      });
    }
    return ctx;
  }

  private async create(tx: Tx, actor: Ctx, name: string): Promise<User | null> {
    if (this.settings.legacyUsers !== 'create' || actor.proof.kind !== 'api_key') return null;
    if (!/\S/.test(name) || name.length > 200) {
      throw new AppError('request.invalid', 'user_id must have 1 to 200 characters', {
        errors: [{ pointer: '/user_id', detail: 'this is no external id that a user can have' }],
      });
    }
    // Another request may make the same one in the same moment: then that one counts.
    const made: { id: string }[] = await tx.query(
      `insert into users (tenant_id, id, external_id, name, role) values ($1, $2, $3, $3, 'user')
       on conflict (tenant_id, external_id) do nothing returning id`,
      [actor.tenantId, newId(), name],
    );
    if (made[0]) {
      await this.audit.record(tx, actor, {
        action: 'user.created',
        subject: { type: 'user', id: made[0].id },
        details: { external_id: name, role: 'user', by_legacy_user_id: true },
      });
    }
    return await tx.findOneBy(User, { tenantId: actor.tenantId, externalId: name });
  }
}

function asMember(actor: Ctx, member: User): Ctx {
  const held = permissionsOf(member.role, false);
  return {
    ...actor,
    userId: member.id,
    externalUserId: member.externalId,
    role: member.role,
    permissions: new Set(
      [...held].filter((one) => actor.permissions.has(one) && !NEVER_FOR_OTHERS.has(one)),
    ),
    actorId: actor.userId,
  };
}

function notForYou(actor: Ctx): AppError {
  return new AppError(
    'auth.forbidden',
    `user_id must be that of the caller: ${actor.externalUserId}; tenant admins may name a member of their tenant`,
  );
}
