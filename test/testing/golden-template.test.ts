import { goldenDifference, scrubTemplate } from 'slipway/testing';
import { describe, expect, test } from 'vitest';

const HASH = '0123456789abcdef'.repeat(4);

describe('a scrubbed template', () => {
  test('names no hash of an asset, of a file or of an image', () => {
    const scrubbed = scrubTemplate({
      Resources: {
        Function: { Properties: { S3Key: `${HASH}.zip` } },
        Task: { Image: { 'Fn::Sub': `\${AWS::AccountId}.dkr/cdk-hnb659fds-container-assets-\${AWS::Region}:${HASH}` } },
        Model: { 'Fn::Join': ['', ['s3://cdk-assets/', `${HASH}.onnx","bytes":`]] },
      },
    });
    expect(JSON.stringify(scrubbed)).not.toContain(HASH);
    expect(scrubbed).toMatchObject({ Resources: { Function: { Properties: { S3Key: '<asset>.zip' } } } });
  });

  test('keeps digests, logical ids and user data, and the order of keys', () => {
    const template = {
      Resources: { [`Task${HASH.slice(0, 8)}`]: { Image: `server@sha256:${HASH}`, UserData: `echo ${HASH}`, A: 1 } },
      Outputs: {},
    };
    expect(JSON.stringify(scrubTemplate(template))).toBe(JSON.stringify({ Resources: template.Resources }));
  });

  test("has no trace of the CDK's bootstrap version, and keeps other parameters and rules", () => {
    const scrubbed = scrubTemplate({
      Parameters: { BootstrapVersion: { Type: 'AWS::SSM::Parameter::Value<String>' }, Image: { Type: 'String' } },
      Rules: { CheckBootstrapVersion: {} },
    });
    expect(scrubbed).toEqual({ Parameters: { Image: { Type: 'String' } } });
  });

  test('is another object: the one given stays as it is', () => {
    const template = { Parameters: { BootstrapVersion: {} } };
    scrubTemplate(template);
    expect(template).toEqual({ Parameters: { BootstrapVersion: {} } });
  });
});

describe('the difference from a golden template', () => {
  const golden = {
    Resources: {
      Models: { Type: 'AWS::S3::Bucket', Properties: { Versioned: true, Rules: ['a', 'b'] } },
      Old: { Type: 'AWS::SQS::Queue' },
    },
  };

  test('is nothing where only hashes of assets, the bootstrap version and the order of keys differ', () => {
    const given = {
      Parameters: { BootstrapVersion: {} },
      Resources: {
        Old: { Type: 'AWS::SQS::Queue' },
        Models: { Properties: { Rules: ['a', 'b'], Versioned: true }, Type: 'AWS::S3::Bucket' },
      },
    };
    expect(goldenDifference(golden, given)).toBeUndefined();
  });

  test('names resources that are gone, new or of another type, and properties with both values', () => {
    const given = {
      Resources: {
        Models: { Type: 'AWS::S3::Bucket', Properties: { Versioned: false, Rules: ['a'], Key: { Ref: 'Key' } } },
        New: { Type: 'AWS::SNS::Topic' },
      },
    };
    expect(goldenDifference(golden, given)!.split('\n')).toEqual([
      'Resources.Models.Properties.Versioned: was true, is false',
      'Resources.Models.Properties.Rules.1: is gone, "b"',
      'Resources.Models.Properties.Key: is new, {"Ref":"Key"}',
      'Resources.Old: is gone, AWS::SQS::Queue',
      'Resources.New: is new, AWS::SNS::Topic',
    ]);
    const retyped = { Resources: { ...golden.Resources, Old: { Type: 'AWS::SNS::Topic' } } };
    expect(goldenDifference(golden, retyped)).toBe('Old: was AWS::SQS::Queue, is AWS::SNS::Topic');
  });
});
