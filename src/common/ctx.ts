export type Role = 'admin' | 'user' | 'viewer';

/** `<thing>.<verb>`; see docs/api.md for what each role holds. */
export const PERMISSIONS = [
  'plan.read',
  'plan.write',
  'plan.delete',
  'plan.execute',
  'schedule.write',
  'credential.read',
  'credential.write',
  'plugin.read',
  'plugin.manage',
  'user.manage',
  'audit.read',
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
  /** What the user's role gives, cut by the API key that was used. */
  permissions: ReadonlySet<Permission>;
  /** The tenant admin who acts for the user; null when users act for themselves. */
  actorId: string | null;
  proof: Proof;
  requestId: string;
}

/** How the request proved whose it is: by an API key, or by a session that was begun with one. */
export interface Proof {
  kind: 'api_key' | 'session';
  apiKeyId: string;
  /** Of a session; null for a key. */
  sessionId: string | null;
  /** When it ends by itself; null when it doesn't. */
  expiresAt: Date | null;
  /** Whether the key carries fewer permissions than its user has. */
  isRestricted: boolean;
}
