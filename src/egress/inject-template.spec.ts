import { describe, expect, it } from '@jest/globals';

import { parseInjectTemplate } from './inject-template.js';

describe('parseInjectTemplate', () => {
  it('reads fixed text and fields', () => {
    expect(parseInjectTemplate('Bearer {{secret.token}}')).toEqual([
      'Bearer ',
      { source: 'secret', name: 'token' },
    ]);
    expect(parseInjectTemplate('{{credential.a}}{{secret.b_2}}!')).toEqual([
      { source: 'credential', name: 'a' },
      { source: 'secret', name: 'b_2' },
      '!',
    ]);
    expect(parseInjectTemplate('{one} }}')).toEqual(['{one} }}']);
    expect(parseInjectTemplate('')).toEqual([]);
  });

  it.each([
    '{{',
    '{{ secret.a }}',
    '{{secret}}',
    '{{secret.}}',
    '{{secret.a.b}}',
    '{{secret.__proto__}}',
    '{{input.a}}',
    '{{secret.a | upper}}',
    '{{{{secret.a}}}}',
  ])('takes no %s', (text) => {
    expect(parseInjectTemplate(text)).toBeNull();
  });
});
