#!/usr/bin/env bash
# Creates what aws.yaml needs in an AWS account: a bucket, and a role for each kind of node. Running it again changes
# nothing.
#
#   bash cluster_configs/aws_setup.sh BUCKET REGION
#
# It needs the AWS command line with administrator credentials. To undo it, run `aws s3 rb --force s3://BUCKET`, which
# deletes the results, and delete the roles and instance profiles raycal-head and raycal-worker in the IAM console.
#
# Cost: only the content of the bucket, 0.023 $ per GB and month (list price as known in 2025, check
#   https://aws.amazon.com/s3/pricing/).
# Last run: never run by us.
set -euo pipefail
bucket=${1:?bucket} region=${2:?region}
account=$(aws sts get-caller-identity --query Account --output text)

if ! aws s3api head-bucket --bucket "$bucket" 2>/dev/null; then
  aws s3 mb "s3://$bucket" --region "$region"
fi
aws s3api put-public-access-block --bucket "$bucket" --public-access-block-configuration \
  BlockPublicAcls=true,IgnorePublicAcls=true,BlockPublicPolicy=true,RestrictPublicBuckets=true

# AWS's own role for spot, which may exist already. Without it the first request for spot fails.
aws iam get-role --role-name AWSServiceRoleForEC2Spot >/dev/null 2>&1 ||
  aws iam create-service-linked-role --aws-service-name spot.amazonaws.com >/dev/null

results="{\"Effect\": \"Allow\", \"Action\": [\"s3:ListBucket\", \"s3:GetBucketLocation\"], \"Resource\": \"arn:aws:s3:::$bucket\"},
  {\"Effect\": \"Allow\", \"Action\": [\"s3:GetObject\", \"s3:PutObject\", \"s3:DeleteObject\"], \"Resource\": \"arn:aws:s3:::$bucket/*\"}"
# The head also starts and ends the workers, and looks up their image.
workers="{\"Effect\": \"Allow\", \"Action\": [\"ec2:Describe*\", \"ec2:RunInstances\", \"ec2:TerminateInstances\", \"ec2:CreateTags\"], \"Resource\": \"*\"},
  {\"Effect\": \"Allow\", \"Action\": \"ssm:GetParameters\", \"Resource\": \"arn:aws:ssm:*::parameter/aws/service/deeplearning/*\"},
  {\"Effect\": \"Allow\", \"Action\": \"iam:PassRole\", \"Resource\": \"arn:aws:iam::$account:role/raycal-worker\"}"

role() { # NAME STATEMENTS
  local trust='{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}]}'
  aws iam get-role --role-name "$1" >/dev/null 2>&1 ||
    aws iam create-role --role-name "$1" --assume-role-policy-document "$trust" >/dev/null
  aws iam put-role-policy --role-name "$1" --policy-name raycal \
    --policy-document "{\"Version\": \"2012-10-17\", \"Statement\": [$2]}"
  if ! aws iam get-instance-profile --instance-profile-name "$1" >/dev/null 2>&1; then
    aws iam create-instance-profile --instance-profile-name "$1" >/dev/null
    aws iam add-role-to-instance-profile --instance-profile-name "$1" --role-name "$1"
  fi
}
role raycal-worker "$results"
role raycal-head "$results, $workers"
echo "bucket $bucket and roles raycal-head, raycal-worker are there"
