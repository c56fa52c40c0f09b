import type { WaitTemplate } from '@stepwell/plugin-sdk';

import type { JsonObject, JsonSchema } from '../../common/json.js';

/**
 * What plan validation asks of the catalogue of plugins: a port, so that these rules stay pure. The
 * one who implements it speaks for one tenant.
 */
export interface PlanCatalogue {
  findAction(
    provider: string,
    action: string,
    version?: string,
  ): Promise<FoundAction> | FoundAction;
  /** What is wrong with params, by the action's input schema. References in them are still texts. */
  validateParams(ref: ActionRef, params: JsonObject): Promise<ParamsProblem[]> | ParamsProblem[];
  /** Why a step of this action can't name this credential (null: say that it has none), or null. */
  findCredentialProblem(
    ref: ActionRef,
    credential: string | null,
  ): Promise<string | null> | string | null;
}

export type FoundAction =
  | {
      readonly status: 'found';
      readonly ref: ActionRef;
      readonly inputSchema: JsonSchema;
      /** What its step waits for; null: it doesn't wait. Absent: not known. */
      readonly waitKind?: WaitKind | null;
    }
  /** `known`: what this tenant could have meant. */
  | { readonly status: 'unknown_provider'; readonly known: readonly string[] }
  | { readonly status: 'unknown_action'; readonly known: readonly string[] }
  | { readonly status: 'unknown_version'; readonly known: readonly string[] }
  /**
   * It exists, but not for this tenant, or not now; `detail` says what to do. `field` is the one of
   * the step that names it, the provider unless told.
   */
  | {
      readonly status: 'unavailable';
      readonly detail: string;
      readonly field?: 'provider' | 'action' | 'version';
    };

export type WaitKind = WaitTemplate['kind'];

/** Which action a step would run if its plan were saved now. */
export interface ActionRef {
  readonly provider: string;
  readonly version: string;
  readonly digest: string;
  readonly action: string;
}

/** As Ajv reports it with `allErrors`. */
export interface ParamsProblem {
  /** JSON Pointer into the params: of the object itself when a member is missing or not allowed. */
  readonly pointer: string;
  readonly detail: string;
  /** The schema keyword that failed, such as `required` or `anyOf`. */
  readonly keyword?: string;
  /** Where in the schema that keyword stands, such as `#/properties/to/anyOf`. */
  readonly schemaPath?: string;
}
