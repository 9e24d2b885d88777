import type * as SQS from '@aws-sdk/client-sqs';

export interface ReceivedMessage {
  /** The queue's own, the same with every delivery. */
  readonly id: string;
  readonly body: string;
  /** Names this delivery. */
  readonly receipt: string;
  /** 1 for the first time. */
  readonly deliveries: number;
}

export interface MessageQueue {
  /** Waits for messages for up to ten seconds. For so long as is said nobody else gets them, whatever the queue's default. */
  receive(max: number, hiddenSeconds: number): Promise<readonly ReceivedMessage[]>;
  delete(receipt: string): Promise<void>;
  /** Nobody else gets the message for so long; 0 gives it back at once. */
  hide(receipt: string, seconds: number): Promise<void>;
}

/** SQS hands out so many at once. */
const MAX_RECEIVED = 10;
const POLL_SECONDS = 10;
const REQUEST_HANDLER = { connectionTimeout: 5_000, socketTimeout: (POLL_SECONDS + 10) * 1_000 };

/** A queue of SQS. Region, endpoint and credentials are the SDK's own. */
export async function openSqs(queueUrl: string): Promise<MessageQueue> {
  const sdk = await import('@aws-sdk/client-sqs');
  return new SqsQueue(queueUrl, sdk, new sdk.SQSClient({ requestHandler: REQUEST_HANDLER }));
}

class SqsQueue implements MessageQueue {
  constructor(
    private readonly queueUrl: string,
    private readonly sdk: typeof SQS,
    private readonly client: SQS.SQSClient,
  ) {}

  async receive(max: number, hiddenSeconds: number): Promise<readonly ReceivedMessage[]> {
    const command = new this.sdk.ReceiveMessageCommand({
      QueueUrl: this.queueUrl,
      MaxNumberOfMessages: Math.min(max, MAX_RECEIVED),
      WaitTimeSeconds: POLL_SECONDS,
      VisibilityTimeout: hiddenSeconds,
      MessageSystemAttributeNames: ['ApproximateReceiveCount'],
    });
    const { Messages = [] } = await this.client.send(command);
    return Messages.map(({ MessageId, Body, ReceiptHandle, Attributes }) => ({
      id: MessageId!,
      body: Body ?? '',
      receipt: ReceiptHandle!,
      deliveries: Number(Attributes?.ApproximateReceiveCount ?? 1),
    }));
  }

  async delete(receipt: string): Promise<void> {
    await this.client.send(new this.sdk.DeleteMessageCommand({ QueueUrl: this.queueUrl, ReceiptHandle: receipt }));
  }

  async hide(receipt: string, seconds: number): Promise<void> {
    await this.client.send(
      new this.sdk.ChangeMessageVisibilityCommand({
        QueueUrl: this.queueUrl,
        ReceiptHandle: receipt,
        VisibilityTimeout: Math.ceil(seconds),
      }),
    );
  }
}
