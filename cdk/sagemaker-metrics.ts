import { ArnFormat, Duration, Stack } from 'aws-cdk-lib';
import * as cloudwatch from 'aws-cdk-lib/aws-cloudwatch';
import * as iam from 'aws-cdk-lib/aws-iam';
import { Construct, type IConstruct } from 'constructs';

/** The one variant that every endpoint of ours has. */
export const VARIANT = 'all';

/** An endpoint of SageMaker, of this app or of another. */
export interface ISageMakerEndpoint extends IConstruct {
  /** What clients give to InvokeEndpoint. */
  readonly endpointName: string;
  readonly endpointArn: string;
  /** Lets somebody ask the endpoint, at once or by a file in S3. */
  grantInvoke(grantee: iam.IGrantable): iam.Grant;
  /** A figure of namespace `AWS/SageMaker` by its name. @default - average over a minute */
  metric(metricName: string, options?: cloudwatch.MetricOptions): cloudwatch.Metric;
  /** Requests. @default - sum over a minute */
  metricInvocations(options?: cloudwatch.MetricOptions): cloudwatch.Metric;
  /** Requests that were answered 5xx. @default - sum over a minute */
  metricServerErrors(options?: cloudwatch.MetricOptions): cloudwatch.Metric;
  /** Microseconds that the container took for a request. @default - average over a minute */
  metricModelLatency(options?: cloudwatch.MetricOptions): cloudwatch.Metric;
  /** Percent; several GPUs add up. @default - average over a minute */
  metricGpuUtilization(options?: cloudwatch.MetricOptions): cloudwatch.Metric;
}

/** What every endpoint can do by its name alone. */
export abstract class SageMakerEndpointBase extends Construct implements ISageMakerEndpoint {
  abstract readonly endpointName: string;

  get endpointArn(): string {
    return Stack.of(this).formatArn({
      service: 'sagemaker',
      resource: 'endpoint',
      // SageMaker writes it in lower case, whatever the name is.
      resourceName: this.endpointName,
      arnFormat: ArnFormat.SLASH_RESOURCE_NAME,
    });
  }

  grantInvoke(grantee: iam.IGrantable): iam.Grant {
    return iam.Grant.addToPrincipal({
      grantee,
      actions: ['sagemaker:InvokeEndpoint', 'sagemaker:InvokeEndpointAsync'],
      resourceArns: [this.endpointArn],
    });
  }

  metric(metricName: string, options?: cloudwatch.MetricOptions): cloudwatch.Metric {
    return endpointMetric(this.endpointName, metricName, options);
  }

  metricInvocations(options?: cloudwatch.MetricOptions): cloudwatch.Metric {
    return this.metric('Invocations', { statistic: 'Sum', ...options });
  }

  metricServerErrors(options?: cloudwatch.MetricOptions): cloudwatch.Metric {
    return this.metric('Invocation5XXErrors', { statistic: 'Sum', ...options });
  }

  metricModelLatency(options?: cloudwatch.MetricOptions): cloudwatch.Metric {
    return this.metric('ModelLatency', options);
  }

  metricGpuUtilization(options?: cloudwatch.MetricOptions): cloudwatch.Metric {
    return new cloudwatch.Metric({
      ...dimensionsOf(this.endpointName, 'GPUUtilization', options),
      namespace: '/aws/sagemaker/Endpoints',
    });
  }
}

/** A figure of an endpoint that need not exist yet: its alarms come before it. */
export function endpointMetric(
  endpointName: string,
  metricName: string,
  options?: cloudwatch.MetricOptions,
): cloudwatch.Metric {
  return new cloudwatch.Metric({ ...dimensionsOf(endpointName, metricName, options), namespace: 'AWS/SageMaker' });
}

function dimensionsOf(endpointName: string, metricName: string, options?: cloudwatch.MetricOptions) {
  return {
    metricName,
    dimensionsMap: { EndpointName: endpointName, VariantName: VARIANT },
    period: Duration.minutes(1),
    statistic: 'Average',
    ...options,
  };
}
