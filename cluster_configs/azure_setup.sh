#!/usr/bin/env bash
# What azure.yaml needs in a subscription: a resource group, a network, and an NFS share that only this network reaches.
#
#   bash cluster_configs/azure_setup.sh ACCOUNT LOCATION     (ACCOUNT: of the storage, 3 to 24 small letters and digits)
#
# Needs the Azure command line, logged in as owner of the subscription. To undo it, results included:
# `az group delete --name raycal`.
#
# Cost: the share, 100 GB at 0.16 $ per GB and month (list price as known in 2025, check
#   https://azure.microsoft.com/pricing/details/storage/files/).
# Last run: never run by us.
set -euo pipefail
account=${1:?account} location=${2:?location}
# Ray takes a network whose name holds the unique_id of azure.yaml for its own, and keeps the settings of its subnet.
network=ray-raycal-nfs1-vnet subnet=ray-raycal-nfs1-subnet

az group create --name raycal --location "$location" --output none
az network vnet create --resource-group raycal --name $network --address-prefixes 10.42.0.0/16 \
  --subnet-name $subnet --subnet-prefixes 10.42.0.0/16 --output none
az network vnet subnet update --resource-group raycal --vnet-name $network --name $subnet \
  --service-endpoints Microsoft.Storage --output none
# NFS has no encryption of its own, so the account must allow that; nothing outside the network gets in.
az storage account create --resource-group raycal --name "$account" --location "$location" --kind FileStorage \
  --sku Premium_LRS --https-only false --default-action Deny --allow-blob-public-access false --output none
az storage account network-rule add --resource-group raycal --account-name "$account" \
  --vnet-name $network --subnet $subnet --output none
az storage share-rm create --resource-group raycal --storage-account "$account" --name raycal --quota 100 \
  --enabled-protocols NFS --root-squash NoRootSquash --output none
echo "share $account.file.core.windows.net:/$account/raycal is there"
