import {
  CreateBucketCommand,
  GetObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  S3Client,
} from '@aws-sdk/client-s3';
import {
  CreateQueueCommand,
  GetQueueAttributesCommand,
  SendMessageCommand,
  SQSClient,
  type QueueAttributeName,
} from '@aws-sdk/client-sqs';
import { startMotoServer } from '../../support/moto-server';

/** A queue with its dead-letter queue, and a bucket, in an emulator of their own. */
export class Cloud {
  static async start(program: string): Promise<Cloud> {
    const moto = await startMotoServer(program);
    const endpoint = moto.endpoint.replace('localhost', '127.0.0.1');
    return new Cloud(endpoint, moto.stop);
  }

  readonly environment: Readonly<Record<string, string>>;
  readonly s3: S3Client;
  readonly sqs: SQSClient;
  private made = 0;

  private constructor(
    endpoint: string,
    readonly stop: () => Promise<void>,
  ) {
    this.environment = {
      AWS_ENDPOINT_URL: endpoint,
      AWS_ACCESS_KEY_ID: 'test',
      AWS_SECRET_ACCESS_KEY: 'test',
      AWS_REGION: 'us-east-1',
    };
    const credentials = { accessKeyId: 'test', secretAccessKey: 'test' };
    this.s3 = new S3Client({ endpoint, credentials, region: 'us-east-1', forcePathStyle: true });
    this.sqs = new SQSClient({ endpoint, credentials, region: 'us-east-1' });
  }

  async newBucket(): Promise<string> {
    const Bucket = `worker-${++this.made}`;
    await this.s3.send(new CreateBucketCommand({ Bucket }));
    return Bucket;
  }

  async newQueue(visibilitySeconds: number, maxReceives: number): Promise<{ url: string; deadLetterUrl: string }> {
    const name = `worker-${++this.made}`;
    const { QueueUrl: deadLetterUrl } = await this.sqs.send(new CreateQueueCommand({ QueueName: `${name}-dead` }));
    const deadLetterTargetArn = await this.attribute(deadLetterUrl!, 'QueueArn');
    const { QueueUrl: url } = await this.sqs.send(
      new CreateQueueCommand({
        QueueName: name,
        Attributes: {
          VisibilityTimeout: String(visibilitySeconds),
          RedrivePolicy: JSON.stringify({ deadLetterTargetArn, maxReceiveCount: maxReceives }),
        },
      }),
    );
    return { url: url!, deadLetterUrl: deadLetterUrl! };
  }

  async send(url: string, body: unknown): Promise<string> {
    const text = typeof body === 'string' ? body : JSON.stringify(body);
    const { MessageId } = await this.sqs.send(new SendMessageCommand({ QueueUrl: url, MessageBody: text }));
    return MessageId!;
  }

  /** Messages that wait, and those that somebody holds. */
  async counts(url: string): Promise<{ waiting: number; held: number }> {
    return {
      waiting: Number(await this.attribute(url, 'ApproximateNumberOfMessages')),
      held: Number(await this.attribute(url, 'ApproximateNumberOfMessagesNotVisible')),
    };
  }

  async put(
    bucket: string,
    key: string,
    body: string | Uint8Array,
    metadata = {},
    contentType?: string,
  ): Promise<void> {
    const type = contentType === undefined ? {} : { ContentType: contentType };
    await this.s3.send(new PutObjectCommand({ Bucket: bucket, Key: key, Body: body, Metadata: metadata, ...type }));
  }

  async keys(bucket: string, prefix = ''): Promise<readonly string[]> {
    const { Contents = [] } = await this.s3.send(new ListObjectsV2Command({ Bucket: bucket, Prefix: prefix }));
    return Contents.map(({ Key }) => Key!);
  }

  async get(bucket: string, key: string) {
    const { Body, ContentType, Metadata } = await this.s3.send(new GetObjectCommand({ Bucket: bucket, Key: key }));
    return { bytes: await Body!.transformToByteArray(), contentType: ContentType, metadata: Metadata };
  }

  async json(bucket: string, key: string): Promise<any> {
    return JSON.parse(Buffer.from((await this.get(bucket, key)).bytes).toString());
  }

  private async attribute(url: string, name: QueueAttributeName): Promise<string> {
    const command = new GetQueueAttributesCommand({ QueueUrl: url, AttributeNames: [name] });
    return (await this.sqs.send(command)).Attributes![name]!;
  }
}
