import { describe, expect, it } from 'vitest';
import { exitCodeOf, exitCodes } from './exit.ts';
import { refusal, sentenceIn } from './refusal.ts';

describe('the sentence in an error body', () => {
  it.each([
    ['Keystone', '{"error":{"code":401,"message":"Log in.","title":"Unauthorized"}}', 'Log in.'],
    [
      'Ironic',
      JSON.stringify({ error_message: JSON.stringify({ faultcode: 'Client', faultstring: 'Node x is busy.' }) }),
      'Node x is busy.',
    ],
    [
      'Ironic’s web layer',
      JSON.stringify({ error_message: JSON.stringify({ code: 404, title: 'Not Found', description: 'No route.' }) }),
      'No route.',
    ],
    [
      'Heat',
      '{"code":400,"title":"Bad Request","explanation":"Malformed.","error":{"type":"X","message":"a.yaml:3: wrong","traceback":null}}',
      'a.yaml:3: wrong',
    ],
    [
      'Nova',
      '{"itemNotFound":{"code":404,"message":"Instance x could not be found."}}',
      'Instance x could not be found.',
    ],
    [
      'Neutron',
      '{"NeutronError":{"type":"NetworkNotFound","message":"Network x could not be found.","detail":""}}',
      'Network x could not be found.',
    ],
    ['Glance', '{"message":"No image x.","code":404,"title":"image-not-found"}', 'No image x.'],
    ['plain text', 'nothing here', 'nothing here'],
  ])('of %s', (_, body, sentence) => expect(sentenceIn(body)).toBe(sentence));

  it.each(['', '<html><body>502</body></html>', '[]', '{}', 'null', '17', '{"error":{}}'])(
    'is not made up of %j',
    (body) => {
      expect(refusal(502, body, 'http://x/y').message).toMatch(/^http:\/\/x\/y answered 502\.|17$/);
    },
  );

  it('is bounded', () => {
    expect(sentenceIn('x'.repeat(1e6))?.length).toBeLessThanOrEqual(2000);
    expect(sentenceIn(JSON.stringify({ message: 'x'.repeat(1e6) }))?.length).toBeLessThanOrEqual(2000);
  });

  it('becomes an exit code that scripts can tell apart', () => {
    const code = (status: number) => {
      const failure = refusal(status, '', 'http://x');
      return exitCodeOf(failure.status, failure.code);
    };
    expect([401, 403, 404, 409, 500, 503].map(code)).toEqual([
      exitCodes.refused,
      exitCodes.refused,
      exitCodes.failed,
      exitCodes.failed,
      exitCodes.failed,
      exitCodes.unreachable,
    ]);
    expect(exitCodeOf(400, 'input-refused')).toBe(exitCodes.usage);
  });
});
