import { RequestMethod } from '@nestjs/common';
import { MetadataScanner, ModulesContainer } from '@nestjs/core';

import { ACCESS, type Access } from '../../src/tenancy/access.decorators.js';
import type { TestHost } from './test-host.js';

export interface Route {
  method: string;
  path: string;
  /** What it asks of its caller; null when no handler of ours says so. */
  access: Access | null;
}

/**
 * Every route that the host serves, as Fastify knows it, with what its handler asks. None is missed:
 * a route that asks nothing, whoever registered it, is there with null.
 */
export function listRoutes(host: TestHost): Route[] {
  const handlers = readHandlers(host);
  return host.routes.map(({ method, path, config }) => ({
    method,
    path,
    access: handlers.get(`${method} ${path}`) ?? accessOf(config) ?? null,
  }));
}

/** Of a route that is Fastify's own: it says so where its handler has no metadata. */
function accessOf(config: unknown): Access | undefined {
  return (config as Record<string, Access> | undefined)?.[ACCESS];
}

function readHandlers(host: TestHost): Map<string, Access | undefined> {
  const found = new Map<string, Access | undefined>();
  const scanner = new MetadataScanner();
  for (const module of host.app.get(ModulesContainer).values()) {
    for (const { metatype } of module.controllers.values()) {
      if (typeof metatype !== 'function') continue;
      const controller = metatype as { prototype: Record<string, object> };
      for (const name of scanner.getAllMethodNames(controller.prototype)) {
        const handler = controller.prototype[name] as object;
        const kind = Reflect.getMetadata('method', handler) as RequestMethod | undefined;
        if (kind === undefined) continue;
        const access = (Reflect.getMetadata(ACCESS, handler) ??
          Reflect.getMetadata(ACCESS, metatype)) as Access | undefined;
        for (const base of pathsOf(metatype)) {
          for (const path of pathsOf(handler)) {
            found.set(`${RequestMethod[kind]} ${join(base, path)}`, access);
          }
        }
      }
    }
  }
  return found;
}

function pathsOf(target: object): string[] {
  return [(Reflect.getMetadata('path', target) as string | string[] | undefined) ?? ''].flat();
}

function join(...parts: string[]): string {
  return `/${parts
    .flatMap((part) => part.split('/'))
    .filter((part) => part !== '')
    .join('/')}`;
}
