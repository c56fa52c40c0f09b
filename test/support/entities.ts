import { Credential } from '../../src/credentials/credential.entity.js';
import { TenantKey } from '../../src/credentials/vault/tenant-key.entity.js';
import { ExecutionBlob } from '../../src/execution/blobs/execution-blob.entity.js';
import { ExecutionLog } from '../../src/execution/execution-log.entity.js';
import { Execution } from '../../src/execution/execution.entity.js';
import { ExecutionLimit } from '../../src/execution/limits/execution-limit.entity.js';
import { TenantShare } from '../../src/execution/limits/tenant-share.entity.js';
import { ExecutionWait } from '../../src/execution/waits/execution-wait.entity.js';
import { PlanVersion } from '../../src/plans/plan-version.entity.js';
import { Plan } from '../../src/plans/plan.entity.js';
import { TenantPolicy } from '../../src/plugins/policy/tenant-policy.entity.js';
import { PluginBundle } from '../../src/plugins/plugin-bundle.entity.js';
import { PluginVersion } from '../../src/plugins/plugin-version.entity.js';
import { Plugin } from '../../src/plugins/plugin.entity.js';
import { TenantPlugin } from '../../src/plugins/tenant-plugin.entity.js';
import { ScheduleFire } from '../../src/scheduling/schedule-fire.entity.js';
import { Schedule } from '../../src/scheduling/schedule.entity.js';
import { AuditEntry } from '../../src/tenancy/audit/audit-entry.entity.js';
import { ApiKey } from '../../src/tenancy/api-key.entity.js';
import { Session } from '../../src/tenancy/sessions/session.entity.js';
import { Tenant } from '../../src/tenancy/tenant.entity.js';
import { User } from '../../src/tenancy/user.entity.js';
import { Webhook } from '../../src/triggers/webhook.entity.js';

export const ENTITIES = [
  ApiKey,
  AuditEntry,
  Credential,
  Execution,
  ExecutionBlob,
  ExecutionLimit,
  ExecutionLog,
  ExecutionWait,
  Plan,
  PlanVersion,
  Plugin,
  PluginBundle,
  PluginVersion,
  Schedule,
  ScheduleFire,
  Session,
  Tenant,
  TenantKey,
  TenantPlugin,
  TenantPolicy,
  TenantShare,
  User,
  Webhook,
];
