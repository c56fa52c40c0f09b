export type Role = 'admin' | 'user' | 'viewer';

/** `<thing>.<verb>`; see docs/api.md for what each role holds. */
export const PERMISSIONS = [
  'plan.read',
  'plan.write',
  'plan.delete',
  'plan.execute',
  'plugin.read',
  'plugin.manage',
  'user.manage',
  'tenant.manage',
] as const;

export type Permission = (typeof PERMISSIONS)[number];

/** Who acts, in which tenant: the first argument of every service method. */
export interface Ctx {
  tenantId: string;
  tenantName: string;
  userId: string;
  /** The name under which other systems know the user; older clients send it as `user_id`. */
  externalUserId: string;
  role: Role;
  permissions: ReadonlySet<Permission>;
  requestId: string;
}
