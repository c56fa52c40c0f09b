import { Injectable } from '@nestjs/common';
import { IsNull } from 'typeorm';

import type { Ctx, Role } from '../common/ctx.js';
import { AppError } from '../common/errors.js';
import { isUuid, newId } from '../common/ids.js';
import type { JsonObject } from '../common/json.js';
import { decodeCursor, toPage, type Page } from '../common/paging.js';
import { Database, type Tx } from '../database/database.js';
import { AuditService } from './audit/audit.service.js';
import { assertAdminRemains, holdAdmins } from './last-admin.js';
import { permissionsOf } from './role-permissions.js';
import { Session } from './sessions/session.entity.js';
import { User } from './user.entity.js';
import type { CreateUserDto, ListUsersQuery, UpdateUserDto } from './users.dto.js';

/** A user as the API shows it. */
export interface UserView {
  id: string;
  external_id: string;
  name: string;
  role: Role;
  is_operator: boolean;
  disabled_at: string | null;
  created_at: string;
}

@Injectable()
export class UsersService {
  constructor(
    private readonly database: Database,
    private readonly audit: AuditService,
  ) {}

  /**
   * Adds a member, who needs an API key next.
   * @throws AppError state.conflict when the external id is taken, auth.forbidden when the caller's
   *   key carries less than the role.
   */
  async createUser(ctx: Ctx, input: CreateUserDto): Promise<UserView> {
    const { external_id: externalId, name = externalId, role = 'user' } = input;
    assertMayGive(ctx, role);
    const id = newId();
    return await this.database.withTenant(ctx, async (tx) => {
      const made: unknown[] = await tx.query(
        `insert into users (tenant_id, id, external_id, name, role) values ($1, $2, $3, $4, $5)
         on conflict (tenant_id, external_id) do nothing returning id`,
        [ctx.tenantId, id, externalId, name, role],
      );
      if (made.length === 0) {
        throw new AppError('state.conflict', `a user with the external id "${externalId}" exists`, {
          errors: [{ pointer: '/external_id', detail: 'choose another, or change that user' }],
        });
      }
      await this.audit.record(tx, ctx, {
        action: 'user.created',
        subject: { type: 'user', id },
        details: { external_id: externalId, role },
      });
      return toView(await getUser(tx, ctx, id));
    });
  }

  /** The members, newest first. */
  async listUsers(ctx: Ctx, query: ListUsersQuery): Promise<Page<UserView>> {
    const rows = await this.database.withTenant(ctx, (tx) =>
      tx
        .createQueryBuilder(User, 'u')
        .where('u.tenantId = :tenantId', { tenantId: ctx.tenantId })
        .andWhere('(:cursor::uuid is null or u.id < :cursor::uuid)', {
          cursor: decodeCursor(query.cursor),
        })
        .andWhere('(:externalId::text is null or u.externalId = :externalId::text)', {
          externalId: query.external_id ?? null,
        })
        .orderBy('u.id', 'DESC')
        .limit(query.limit + 1)
        .getMany(),
    );
    return toPage(rows.map(toView), query.limit);
  }

  /** @throws AppError request.not_found */
  async getUser(ctx: Ctx, id: string): Promise<UserView> {
    return await this.database.withTenant(ctx, async (tx) => toView(await getUser(tx, ctx, id)));
  }

  /**
   * Changes name or role, or turns a user off and on. The keys and sessions of a disabled user stop
   * with the next request.
   * @throws AppError request.not_found; auth.forbidden for an operator who is someone else, and for
   *   a role that the caller's key doesn't cover; state.conflict when no working admin would be left.
   */
  async updateUser(ctx: Ctx, id: string, input: UpdateUserDto): Promise<UserView> {
    if (Object.keys(input).length === 0) {
      throw new AppError('request.invalid', 'the body changes nothing; give at least one field');
    }
    return await this.database.withTenant(ctx, async (tx) => {
      await holdAdmins(tx, ctx);
      const before = await getUser(tx, ctx, id);
      if (before.isOperator && before.id !== ctx.userId) {
        throw new AppError('auth.forbidden', 'an operator is changed by himself alone');
      }
      const after = {
        name: input.name ?? before.name,
        role: input.role ?? before.role,
        disabledAt: disabledAtOf(before, input.disabled),
      };
      if (after.role !== before.role || (before.disabledAt && !after.disabledAt)) {
        assertMayGive(ctx, after.role);
      }
      await tx.update(User, { tenantId: ctx.tenantId, id: before.id }, after);
      if (after.disabledAt && !before.disabledAt) {
        // Ended for good: who comes back signs in again.
        await tx.update(
          Session,
          { tenantId: ctx.tenantId, userId: before.id, revokedAt: IsNull() },
          { revokedAt: after.disabledAt },
        );
      }
      const wasAdmin = before.role === 'admin' && !before.disabledAt;
      if (wasAdmin && (after.role !== 'admin' || after.disabledAt)) {
        await assertAdminRemains(tx, ctx, before);
      }
      await this.audit.record(tx, ctx, {
        action: 'user.updated',
        subject: { type: 'user', id: before.id },
        details: listChanges(before, after),
      });
      return toView(await getUser(tx, ctx, id));
    });
  }
}

type Changeable = Pick<User, 'name' | 'role' | 'disabledAt'>;

function disabledAtOf(before: User, disabled: boolean | undefined): Date | null {
  if (disabled === undefined) return before.disabledAt;
  return disabled ? (before.disabledAt ?? new Date()) : null;
}

function listChanges(before: Changeable, after: Changeable): JsonObject {
  const changes: JsonObject = {};
  if (after.name !== before.name) changes['name'] = { from: before.name, to: after.name };
  if (after.role !== before.role) changes['role'] = { from: before.role, to: after.role };
  const [was, is] = [before.disabledAt !== null, after.disabledAt !== null];
  if (was !== is) changes['disabled'] = { from: was, to: is };
  return changes;
}

/** Else a key with few permissions could make others strong, and reach through them what it lacks. */
function assertMayGive(ctx: Ctx, role: Role): void {
  const lacking = [...permissionsOf(role, false)].filter((one) => !ctx.permissions.has(one));
  if (lacking.length === 0) return;
  throw new AppError(
    'auth.forbidden',
    `your API key gives no role that can do more than it can; for "${role}" it lacks ${lacking.join(', ')}`,
  );
}

async function getUser(tx: Tx, ctx: Ctx, id: string): Promise<User> {
  const user = isUuid(id) ? await tx.findOneBy(User, { tenantId: ctx.tenantId, id }) : null;
  if (user) return user;
  throw new AppError('request.not_found', `there is no user ${id}`);
}

function toView(user: User): UserView {
  return {
    id: user.id,
    external_id: user.externalId,
    name: user.name,
    role: user.role,
    is_operator: user.isOperator,
    disabled_at: user.disabledAt?.toISOString() ?? null,
    created_at: user.createdAt.toISOString(),
  };
}
