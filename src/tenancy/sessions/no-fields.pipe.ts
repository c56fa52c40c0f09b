import { Injectable, type PipeTransform } from '@nestjs/common';

import { invalidRequest } from '../../common/http/validation.pipe.js';
import { isJsonObject, pointerToken } from '../../common/json.js';

/** For routes that take no fields: what is sent all the same is refused by name. */
@Injectable()
export class NoFieldsPipe implements PipeTransform {
  transform(body: unknown): void {
    if (body === undefined || body === null) return;
    const names = isJsonObject(body) ? Object.keys(body) : [''];
    if (names.length === 0) return;
    throw invalidRequest(
      names.map((name) => ({
        pointer: name === '' ? '' : `/${pointerToken(name)}`,
        detail: 'this route takes no fields; leave it out',
      })),
    );
  }
}
