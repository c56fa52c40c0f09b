import type { Permission, Role } from '../common/ctx.js';

const VIEWER: readonly Permission[] = ['plan.read', 'credential.read', 'plugin.read'];
const USER: readonly Permission[] = [
  ...VIEWER,
  'plan.write',
  'plan.delete',
  'plan.execute',
  'schedule.write',
  'credential.write',
];
const ADMIN: readonly Permission[] = [...USER, 'plugin.manage', 'user.manage', 'audit.read'];

const BY_ROLE: Record<Role, readonly Permission[]> = { viewer: VIEWER, user: USER, admin: ADMIN };

/** What a role may do in its tenant; an operator also manages tenants. */
export function permissionsOf(role: Role, isOperator: boolean): ReadonlySet<Permission> {
  return new Set(isOperator ? [...BY_ROLE[role], 'tenant.manage' as const] : BY_ROLE[role]);
}
