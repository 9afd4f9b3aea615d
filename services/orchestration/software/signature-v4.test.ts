/** Requests that botocore signed, and all that must not be changed in them. */
import { describe, expect, it } from 'vitest';
import { isV4Signed, v4SignatureOf, v4Time } from './signature-v4.ts';

/**
 * Made by botocore 1.43.11, SigV4Auth and SigV4QueryAuth at 2026-01-02T03:04:05Z, region `RegionOne`,
 * service `cloudformation`, key `AKIDEXAMPLE`.
 */
const secret = 'wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY';
const post = {
  verb: 'POST',
  path: '/cfn/v1/',
  query: '',
  headers: {
    host: 'cloud.example:8443',
    'content-type': 'application/x-www-form-urlencoded; charset=utf-8',
    'x-amz-date': '20260102T030405Z',
    authorization:
      'AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20260102/RegionOne/cloudformation/aws4_request, SignedHeaders=content-type;host;x-amz-date, Signature=d6594bfcc2769f9805a8f6a9ef569a8a558d77f2cb5b1bc83895c46c773cb6bf',
  },
  body: 'Action=ListStacks&Version=2010-05-15',
};
const get = {
  verb: 'GET',
  path: '/cfn/v1/',
  query:
    'Action=ListStacks&Version=2010-05-15&Note=a%20b%2Bc~&X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIDEXAMPLE%2F20260102%2FRegionOne%2Fcloudformation%2Faws4_request&X-Amz-Date=20260102T030405Z&X-Amz-Expires=60&X-Amz-SignedHeaders=host&X-Amz-Signature=1f936f3e67f5b6ae8e8ff2e1ed64f89ced88d609fe54e381ac9a17ea80becf67',
  headers: { host: 'cloud.example:8443' },
  body: '',
};

describe('signature version 4', () => {
  for (const [kind, request, expires] of [
    ['in a header', post, null],
    ['in a query', get, 60],
  ] as const) {
    const parts = v4SignatureOf(request);
    if (!parts) throw new Error('no signature found');
    it(`is read and proven ${kind}`, () => {
      expect(parts).toMatchObject({ accessKey: 'AKIDEXAMPLE', date: '20260102T030405Z', expires });
      expect(v4Time(parts)).toBe(Date.UTC(2026, 0, 2, 3, 4, 5));
      expect(isV4Signed(secret, request, parts, 'other')).toBe(true);
      expect(isV4Signed('another', request, parts, 'other')).toBe(false);
    });
    it(`covers verb, path, query, body, date, service and host ${kind}`, () => {
      const changes: object[] = [
        { verb: 'PUT' },
        { path: '/cfn/v1/other' },
        { query: `${request.query}&more=1` },
        { body: `${request.body}&StackName=x` },
      ];
      for (const change of changes) expect(isV4Signed(secret, { ...request, ...change }, parts, 'other')).toBe(false);
      const elsewhere = { ...request, headers: { ...request.headers, host: 'elsewhere' } };
      expect(isV4Signed(secret, elsewhere, parts, 'other')).toBe(false);
      expect(isV4Signed(secret, elsewhere, parts, 'cloud.example:8443')).toBe(true);
      for (const change of [
        { date: '20260103T030405Z' },
        { scope: parts.scope.replace('cloudformation', 's3') },
        { signedHeaders: ['x-amz-date'] },
      ])
        expect(isV4Signed(secret, request, { ...parts, ...change }, 'other')).toBe(false);
    });
  }

  it('is none where there is none, and of no time where the time is none', () => {
    expect(v4SignatureOf({ ...get, query: 'Action=ListStacks' })).toBeNull();
    expect(v4SignatureOf({ ...post, headers: { authorization: 'AWS4-HMAC-SHA256 nonsense' } })).toMatchObject({
      accessKey: '',
      date: '',
    });
    expect(v4SignatureOf({ ...get, query: get.query.replace('Expires=60', 'Expires=9999999') })?.expires).toBe(0);
    expect(v4Time({ date: 'soon' } as never)).toBeNaN();
  });
});
