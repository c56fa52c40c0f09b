import { Injectable } from '@nestjs/common';

import { systemClock } from '../common/clock.js';
import { stepFailed, type ProviderResult, type StepErrorCode } from '../common/provider-result.js';
import {
  CredentialResolver,
  type ResolvedCredential,
  type Resolution,
} from '../credentials/credential-resolver.js';
import type { TxCtx } from '../database/database.js';
import type { EgressGrant } from '../egress/gateway.js';
import { resolveHostPermissions } from '../egress/hosts.js';
import { PluginCatalogue } from '../plugins/plugin-catalogue.js';
import { HostCallError, type CallLimits } from '../sandbox/sandbox.js';
import { ActiveUsers } from '../tenancy/active-users.js';
import { withPatience } from './database-patience.js';
import type { Lease } from './run-store.js';
import type { PreparedStep } from './step-preparer.js';

/** What one attempt may use. Asked anew for each, so that what was taken away is gone at once. */
export type StepAccess = { ok: true; use: StepUse } | { ok: false; result: ProviderResult };

export interface StepUse {
  credential: Pick<ResolvedCredential, 'id' | 'fields'> | null;
  grant: EgressGrant;
  /** For what runs long: throws when the step may no longer use the network. @throws HostCallError */
  assertStillAllowed: (signal: AbortSignal) => Promise<void>;
}

type Admission =
  | { ok: true; hostCaps: readonly (readonly string[])[] }
  | { ok: false; code: StepErrorCode; reason: string };

/** Decides what a step may use: manifest AND operator's policy AND tenant's policy AND its credential. */
@Injectable()
export class StepAccessService {
  constructor(
    private readonly catalogue: PluginCatalogue,
    private readonly credentials: CredentialResolver,
    private readonly users: ActiveUsers,
  ) {}

  /** The run-as user is the owner of the lease: a step has no other rights. */
  async decide(
    prepared: PreparedStep,
    call: { lease: Lease; tenantName: string; limits: CallLimits; signal: AbortSignal },
  ): Promise<StepAccess> {
    const { entry, action, input } = prepared;
    const { lease, limits } = call;
    const actAs: TxCtx = { tenantId: lease.tenantId, userId: lease.ownerId, role: 'user' };
    // A database that is away is no failure of the step's.
    const patiently = <T>(read: () => Promise<T>): Promise<T> =>
      withPatience(read, { clock: systemClock, signal: call.signal });

    const admission = await patiently(() => this.admit(actAs, prepared));
    if (!admission.ok) {
      return { ok: false, result: stepFailed(admission.code, admission.reason) };
    }
    const resolution = await patiently(() => this.resolve(actAs, prepared, lease.executionId));
    if (resolution.kind === 'failed') {
      return { ok: false, result: stepFailed(resolution.code, resolution.message) };
    }
    const credential = resolution.kind === 'found' ? resolution.credential : null;
    const grant: EgressGrant = {
      tenant: { id: lease.tenantId, name: call.tenantName },
      hosts: resolveHostPermissions(
        entry.manifest.permissions.hosts,
        { input, credential: credential?.fields ?? null },
        action.generic === true,
      ),
      caps: admission.hostCaps,
      credential: credential && {
        ...credential.egress,
        openSecrets: () => patiently(() => credential.egress.openSecrets()),
      },
      responseBytes: limits.responseBytes,
      timeoutMs: limits.wallMs,
    };
    const assertStillAllowed = async (signal: AbortSignal): Promise<void> => {
      const now = await withPatience(() => this.admit(actAs, prepared), {
        clock: systemClock,
        signal,
      });
      if (!now.ok) {
        const details = { reason: 'withdrawn', sent: false };
        throw new HostCallError('egress.denied', `not sent: ${now.reason}`, details);
      }
    };
    return { ok: true, use: { credential, grant, assertStillAllowed } };
  }

  /** Whether plugin and run-as user may act, as of at most half a second ago. */
  private async admit(actAs: TxCtx, { entry, action }: PreparedStep): Promise<Admission> {
    if (!(await this.users.isActive(actAs))) {
      const reason = 'the user whom this run acts as is disabled; start it as another one';
      return { ok: false, code: 'user.disabled', reason };
    }
    const access = await this.catalogue.accessOf(actAs, entry, action.id);
    return access.usable
      ? { ok: true, hostCaps: access.hostCaps }
      : { ok: false, code: access.code, reason: access.reason };
  }

  private async resolve(
    actAs: TxCtx,
    { step, entry, action }: PreparedStep,
    executionId: string,
  ): Promise<Resolution> {
    const type = entry.manifest.credentials?.find(({ id }) => id === action.credential);
    if (!type || (step.withoutCredential && action.credentialOptional === true)) {
      return { kind: 'none' };
    }
    return await this.credentials.resolve(actAs, {
      provider: entry.manifest.id,
      type,
      ref: step.credential,
      execution: { id: executionId, stepId: step.id },
      isOptional: action.credentialOptional === true,
    });
  }
}
